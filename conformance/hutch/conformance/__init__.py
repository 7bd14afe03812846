"""The conformance suite: one set of cases for the emulator and for live RabbitMQ.

A case shows one behaviour of RabbitMQ, and counts because it has passed on a live one. The same case, unchanged, runs
on the emulator in-process, on the emulator over TCP, and on any broker at a URL.
"""
