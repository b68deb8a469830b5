"""Encoded answers: the same as encoding the structs would give, cut where a message ends."""

from __future__ import annotations

from random import Random

import msgspec
import pytest

from hub.core.answers import Answers
from hub.core.catalog import MAX_CACHED_BYTES, Catalog
from hub.errors import InvalidRequest
from hub.wire.discovery import Discover, Discovered, ServiceList, Services
from tests.unit.core.making import WALL, record


def discovered(answers: Answers, query: Discover) -> Discovered:
    return msgspec.json.decode(answers.discover(query), type=Discovered, strict=True)


def made(catalog: Catalog, max_bytes: int = 1 << 20) -> Answers:
    return Answers(catalog, max_bytes=max_bytes, random=Random(1))


def test_an_answer_is_what_the_contract_says() -> None:
    catalog = Catalog()
    catalog.apply(record(host="fe80::1", version="1.2", tags=("x",), metadata={"k": [1, {"é": None}]}), 4)
    answer = discovered(made(catalog), Discover(name="engine"))
    assert (answer.name, answer.revision, answer.degraded, answer.next) == ("engine", 4, False, None)
    assert answer.instances == (catalog.entries["engine.a1"].instance,)
    assert answer.instances[0].url == "http://[fe80::1]:1000"


def test_it_is_counted_whether_an_answer_was_at_hand() -> None:
    catalog = Catalog()
    answers = made(catalog)
    catalog.apply(record(), 1)
    for query in (
        Discover(name="engine"),
        Discover(name="engine", strategy="random", limit=1),
        Discover(name="nobody"),
    ):
        answers.discover(query)
        answers.discover(query)
    assert (answers.hits, answers.misses) == (2, 4)
    number, size = answers.kept
    assert (number, size) == (1, len(answers.discover(Discover(name="engine"))))
    catalog.apply(record(version="2"), 2)
    assert answers.kept == (0, 0)


def test_an_unknown_service_is_an_empty_list() -> None:
    catalog = Catalog()
    catalog.apply(record(), 4)
    answer = discovered(made(catalog), Discover(name="nobody"))
    assert (answer.instances, answer.degraded, answer.revision) == ((), False, 4)


def test_a_change_is_in_the_next_answer() -> None:
    catalog = Catalog()
    answers = made(catalog)
    catalog.apply(record(), 1)
    query = Discover(name="engine", status="any")
    assert discovered(answers, query).instances[0].status == "passing"
    catalog.set_state("engine.a1", "critical", "no heartbeat", 0, WALL)
    assert discovered(answers, query).instances[0].status == "critical"
    catalog.set_load("engine.a1", 0.5)
    assert discovered(answers, query).instances[0].load == 0.5
    catalog.apply_removal("engine.a1", 2)
    assert discovered(answers, query).instances == ()


def test_the_answer_s_revision_moves_even_if_nothing_visible_does() -> None:
    catalog = Catalog()
    answers = made(catalog)
    catalog.anticipate(record(), 8)
    query = Discover(name="engine", min_revision=8)
    assert not answers.satisfied(query)
    assert discovered(answers, Discover(name="engine")).revision == 0
    catalog.apply(record(), 8)
    assert answers.satisfied(query)
    assert discovered(answers, Discover(name="engine")).revision == 8


def test_a_service_s_revision_sleeps_through_the_changes_of_others() -> None:
    catalog = Catalog()
    answers = made(catalog)
    catalog.apply(record(), 1)
    catalog.apply(record("other"), 2)
    assert not answers.satisfied(Discover(name="engine", min_revision=2))
    assert answers.satisfied(Discover(capabilities=("x",), min_revision=2))


def test_pages_join_to_the_whole_and_each_stays_below_the_limit() -> None:
    catalog = Catalog()
    for n in range(500):
        catalog.apply(record(instance_id=f"i{n:04}", port=n + 1, metadata={"text": "x" * 100}), n + 1)
    answers = made(catalog, max_bytes=20_000)
    seen: list[str] = []
    after: str | None = ""
    pages = 0
    while after is not None:
        query = Discover(name="engine", after=after)
        assert len(answers.discover(query)) <= 20_000
        page = discovered(answers, query)
        seen += [instance.instance_id for instance in page.instances]
        after = page.next
        pages += 1
    assert seen == [f"i{n:04}" for n in range(500)]
    assert pages > 5


def test_a_limit_cuts_and_says_where_to_go_on() -> None:
    catalog = Catalog()
    for n in range(3):
        catalog.apply(record(instance_id=f"i{n}", port=n + 1), n + 1)
    page = discovered(made(catalog), Discover(name="engine", limit=2))
    assert ([i.instance_id for i in page.instances], page.next) == (["i0", "i1"], "i1")
    assert discovered(made(catalog), Discover(name="engine", limit=3)).next is None


def test_labels_find_instances_of_whatever_service_page_by_page() -> None:
    catalog = Catalog()
    for n in range(6):
        catalog.apply(record(f"s{n}", metadata={"capabilities": ["trade"]}, tags=("blue",) if n % 2 else ()), n + 1)
    answers = made(catalog)
    first = discovered(answers, Discover(capabilities=("trade",), limit=4))
    assert [i.name for i in first.instances] == ["s0", "s1", "s2", "s3"]
    rest = discovered(answers, Discover(capabilities=("trade",), after=first.next or ""))
    assert [i.name for i in rest.instances] == ["s4", "s5"]
    both = discovered(answers, Discover(capabilities=("trade",), tags=("blue",)))
    assert [i.name for i in both.instances] == ["s1", "s3", "s5"]
    assert len(discovered(answers, Discover(tags=("blue",), strategy="random")).instances) == 1


def test_a_question_for_nobody_in_particular_is_refused() -> None:
    with pytest.raises(InvalidRequest) as refused:
        made(Catalog()).discover(Discover())
    assert refused.value.field == "name"


def test_an_absurd_range_is_refused_also_for_a_service_that_nobody_knows() -> None:
    with pytest.raises(InvalidRequest):
        made(Catalog()).discover(Discover(name="nobody", version="banana"))


def test_a_doubted_service_answers_degraded_and_recovers() -> None:
    catalog = Catalog()
    answers = made(catalog)
    catalog.apply(record(), 1)
    assert not discovered(answers, Discover(name="engine")).degraded
    answers.doubt(frozenset({"engine"}))
    assert discovered(answers, Discover(name="engine")).degraded
    answers.doubt(frozenset())
    assert not discovered(answers, Discover(name="engine")).degraded


def test_services_are_listed_with_what_their_instances_are_like_page_by_page() -> None:
    catalog = Catalog()
    for n in range(40):
        catalog.apply(record(f"s{n:02}", version="1"), 2 * n + 1)
        catalog.apply(record(f"s{n:02}", "b", port=5, version="2", status="critical"), 2 * n + 2)
    answers = made(catalog, max_bytes=2000)
    names: list[str] = []
    after: str | None = ""
    while after is not None:
        encoded = answers.services(Services(after=after))
        assert len(encoded) <= 2000
        page = msgspec.json.decode(encoded, type=ServiceList)
        names += [row.name for row in page.services]
        after = page.next
    assert names == [f"s{n:02}" for n in range(40)]
    row = page.services[0]
    assert (row.instances, row.passing, row.warning, row.critical, row.versions) == (2, 1, 0, 1, ("1", "2"))
    limited = msgspec.json.decode(answers.services(Services(limit=3)), type=ServiceList)
    assert ([r.name for r in limited.services], limited.next) == (["s00", "s01", "s02"], "s02")


@pytest.mark.parametrize("across", [False, True])
def test_an_instance_too_large_for_any_reply_is_told_without_its_metadata_and_paging_ends(across: bool) -> None:
    catalog = Catalog()
    for number in range(5):
        text = "x" * (9000 if number in (0, 2, 4) else 10)
        catalog.apply(record(instance_id=f"i{number}", port=number + 1, tags=("t",), metadata={"m": text}), number + 1)
    answers = made(catalog, max_bytes=6000)
    query = Discover(tags=("t",)) if across else Discover(name="engine")
    found: list[tuple[str, bool]] = []
    for _ in range(10):
        answer = discovered(answers, query)
        found += [(instance.instance_id, bool(instance.metadata)) for instance in answer.instances]
        if answer.next is None:
            break
        query = msgspec.structs.replace(query, after=answer.next)
    assert found == [("i0", False), ("i1", True), ("i2", False), ("i3", True), ("i4", False)]


def test_an_instance_that_no_reply_can_hold_is_left_out_and_paging_ends() -> None:
    catalog = Catalog()
    for number in range(3):
        tags = tuple(f"{n}-{'x' * 60}" for n in range(64)) if number == 1 else ()
        catalog.apply(record(instance_id=f"i{number}", port=number + 1, tags=tags), number + 1)
    answer = discovered(made(catalog, max_bytes=2000), Discover(name="engine"))
    assert [instance.instance_id for instance in answer.instances] == ["i0", "i2"]
    assert answer.next is None


def test_a_row_too_large_for_the_list_of_services_goes_without_its_versions_and_paging_ends() -> None:
    catalog = Catalog()
    for number in range(40):
        version = f"{number}" + "\u0001" * 60
        catalog.apply(record(instance_id=f"i{number}", port=number + 1, version=version), number + 1)
    catalog.apply(record("zoo"), 100)
    answer = msgspec.json.decode(made(catalog, max_bytes=4000).services(Services()), type=ServiceList)
    assert [(row.name, row.instances, row.versions) for row in answer.services] == [("engine", 40, ()), ("zoo", 1, ())]
    assert answer.next is None


def test_a_row_of_the_list_of_services_follows_its_instances() -> None:
    catalog = Catalog()
    answers = made(catalog)

    def rows() -> list[tuple[int, int]]:
        listed = msgspec.json.decode(answers.services(Services()), type=ServiceList).services
        return [(row.instances, row.passing) for row in listed]

    catalog.apply(record(), 1)
    assert rows() == [(1, 1)]
    catalog.set_state("engine.a1", "critical", "silent", 0, WALL)
    assert rows() == [(1, 0)]
    catalog.apply(record(instance_id="b", port=2), 2)
    assert rows() == [(2, 1)]
    catalog.apply_removal("engine.a1", 3)
    assert rows() == [(1, 1)]


def test_many_questions_about_a_large_service_do_not_fill_the_memory() -> None:
    catalog = Catalog()
    for number in range(500):
        catalog.apply(record(instance_id=f"i{number}", port=number + 1, metadata={"m": "x" * 1000}), number + 1)
    answers = made(catalog)
    for limit in range(400, 500):
        answers.discover(Discover(name="engine", limit=limit))
        service = catalog.services["engine"]
        assert service.answers_size == sum(map(len, service.answers.values())) <= MAX_CACHED_BYTES
    catalog.apply(record(instance_id="i1", port=2), 1000)
    assert (service.answers, service.answers_size) == ({}, 0)
