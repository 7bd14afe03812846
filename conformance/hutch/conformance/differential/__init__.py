"""The differential machine: random operations are played on the emulator and on a live RabbitMQ, and what comes back is
compared after each.

A script, which is drawn at random, begins on an empty broker with a few exchanges, queues and bindings; then come fifty
operations, legal and not, on a few connections and channels. After each the live broker is asked to answer on every
channel and after every queue, again and again until both sides have told the same, or for so long that they do not. A
script that ends in a difference is made small: operations mean something in any state, so that some can be left out.

What RabbitMQ itself does not determine is kept out, or not compared:

- names and tags that the broker makes up: they are told apart by the order in which they come up. Where exchanges hash
  routing keys there are no such names of queues;
- the time in ``x-death``: it has a clock of its own;
- the order between what different queues deliver on one channel, between deliveries, confirms and returns: each comes
  from a process of its own. So are delivery tags within one step, where several queues deliver; an acknowledgement of
  several whose tags stand for other messages on the other side is left out;
- the order in which a dead letter and a message that is published in the same step get into a quorum queue or stream,
  one from another queue, one from a channel: a script in which it is not the same is left off;
- in which order a quorum queue gets back what several consumers had of a channel that is closed for an error: their
  tags give it, and some are made up. A script in which it is not the same is left off;
- the order between what a quorum queue delivers to different consumers: it hands on what it has for each of them in
  turn. Nor is that between consumers of a stream, each of which reads for itself;
- how many messages a stream has, of which it tells some seconds late; which messages make a chunk, so that no consumer
  begins at ``last``: it is rare that messages of several steps make one, which 3.10 delivers whole. What cuts off a
  stream is too large to be met, and segments have room;
- whether publishes are confirmed one by one or several at once;
- the order in which a channel is told that its consumers are cancelled, and in which a queue gets back what several
  of its consumers on a channel had: some tags are made up, and sorted among others;
- which of several queues uses up a limit that the consumers of a channel share (3.10): such channels have consumers of
  one queue alone. Whether the credit or the message is back in the queue first: nothing is requeued under such a limit;
- which queues hear first that a channel or connection ends: none is closed that has consumers of several queues and
  something to give back, which one of the queues might send on to another;
- what the channels of a connection get of each other while it is closed for an error: a script in which that is not
  the same on both sides is left off;
- which of several policies of one priority holds: theirs differ;
- which queue an exchange of the type ``x-random`` or ``x-local-random`` picks: there is but one queue that is ever
  bound to it;
- how dead letters of several queues are mixed that a policy, or time, has drop messages at once: a script in which they
  come together is left off;
- when a connection or channel is counted that was opened or closed: under such limits the next operation comes a moment
  later;
- when a quorum queue hears that others have taken a dead letter which it kept for them, and so has room again: the next
  operation comes a moment later;
- headers with decimals, over which RabbitMQ crashes where messages are dead-lettered at least once, and 4.3 where they
  are dead-lettered into a stream: there are none in scripts in which anything may be;
- what several channels give back at once when the broker is restarted: one might get it from another that ends later.
  There is no restart then, nor when something falls due meanwhile, nor where an ``x-recent-history`` exchange may be:
  3.10 may not start with one;
- which of several wrong values of a policy is told, if different parts of RabbitMQ look at their keys: that depends on
  the plugins, and in a policy only one part's values may be wrong;
- values of policies over which RabbitMQ itself crashes or falls silent: a ``max-age`` that is no text, and to 3.10 a
  ``queue-master-locator`` or ``ha-mode`` that is none;
- whether a channel of a user whose permissions change still remembers what it was permitted, after a second without
  anything to do: each has something to do before, or the script is left off;
- what happens when something expires while it is looked at: no operation comes near such a moment, and a script in
  which the live broker is too slow for that is left off.

A difference that is not seen again when the same operations are played again is told of, and does not count.
"""
