"""What both ends of an AMQP 0-9-1 connection share: methods, fields, frames, content, states, codes, URLs.

Pure: bytes in, values out. Nothing here opens a socket, reads a clock, starts a thread or draws a random number.
"""
