"""Sealing an answer for who asked: nobody else can read it on the way, where that is not encrypted by itself.

Who asks sends a fresh public key along, X25519 (RFC 7748). The hub makes one of its own for this one answer, and both
come to the same secret, of which HKDF-SHA256 (RFC 5869) makes the key that the answer is sealed with (see `sealing`).
What is sealed is bound to the question. This keeps those out who listen. Who can change what passes could put a key of
his own into a question: against that there is TLS.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from hub.vault import sealing
from hub.wire.secrets import ResolveSecrets

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

KEY_BYTES: Final = 32
_CONTEXT: Final = b"central-hub transit 1"


class Recipient:
    """Who asks, for one question: a key pair of which the secret half never leaves it.

    Attributes:
        public: What is sent along, 32 bytes.

    Raises:
        ModuleNotFoundError: cryptography is not installed.
    """

    def __init__(self) -> None:
        self._private = _fresh()
        self.public = self._private.public_key().public_bytes_raw()

    def unseal(self, key: bytes, sealed: bytes, bound: bytes) -> bytes:
        """What was sealed for it.

        Args:
            key: The public key that came with it.
            sealed: What came.
            bound: What it is the answer to, as `answer_to` writes it.

        Raises:
            Broken: it was sealed for another, as the answer to something else, or was changed since.
        """
        try:
            shared = _agreed(self._private, key, to=self.public, of=key)
        except ValueError:
            raise sealing.Broken("its key is none") from None
        return sealing.unseal(shared, sealed, bound)


def seal(to: bytes, plain: bytes, bound: bytes) -> tuple[bytes, bytes]:
    """The public key to open it with, and the bytes sealed for the owner of `to`.

    Raises:
        ValueError: `to` is no public key that a secret can come of.
    """
    private = _fresh()
    public = private.public_key().public_bytes_raw()
    return public, sealing.seal(_agreed(private, to, to=to, of=public), plain, bound)


def answer_to(question: ResolveSecrets) -> bytes:
    """What an answer is bound to: that it is one, who asked on behalf of which service, and for what."""
    asked = ("central-hub secrets 1", "answer", question.service, question.instance_id or "", *question.names)
    return "\n".join(asked).encode()


def _agreed(private: X25519PrivateKey, public: bytes, *, to: bytes, of: bytes) -> bytes:
    """The key that both come to. Raises ValueError where the public key leads to none."""
    from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PublicKey
    from cryptography.hazmat.primitives.hashes import SHA256
    from cryptography.hazmat.primitives.kdf.hkdf import HKDF

    secret = private.exchange(X25519PublicKey.from_public_bytes(public))
    return HKDF(algorithm=SHA256(), length=sealing.KEY_BYTES, salt=None, info=_CONTEXT + to + of).derive(secret)


def _fresh() -> X25519PrivateKey:
    from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

    return X25519PrivateKey.generate()
