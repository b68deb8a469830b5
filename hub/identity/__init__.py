"""Proofs of who somebody is: what was presented, and what is known from it. No I/O, no clock: time is an argument."""
