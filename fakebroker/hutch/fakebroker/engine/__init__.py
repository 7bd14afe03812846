"""The broker itself, pure and deterministic: no I/O, no thread, no clock but the one it is given.

A :class:`~hutch.fakebroker.engine.node.Node` is a single-threaded value that can be held in the hand: the same calls on
the same clock give the same bytes.
"""
