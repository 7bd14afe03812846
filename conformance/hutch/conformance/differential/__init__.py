"""The differential machine: random operations are played on the emulator and on a live RabbitMQ, and what comes back is
compared after each.

A random script begins on an empty broker with a few exchanges, queues and bindings. Then come fifty operations, legal
and not, on a few connections and channels. After each operation the live broker must answer on every channel and for
every queue. That is repeated until both sides agree, or until a time limit. A script that ends in a difference is made
small: operations mean something in any state, so some can be left out.

RabbitMQ itself does not determine everything. What it does not is kept out of scripts, or not compared:

- names and tags that the broker generates: the order in which they appear tells them apart. Scripts with exchanges
  that hash routing keys have no queues with such names;
- the time in ``x-death``: it has a clock of its own;
- the order between what different queues deliver on one channel, between deliveries, confirms and returns: each comes
  from a process of its own. So are delivery tags within one step, where several queues deliver. An acknowledgement of
  several is left out if its tags stand for other messages on the other side;
- the order in which a dead letter and a message that is published in the same step get into a quorum queue or stream:
  they come from two processes. A script in which the order differs is dropped;
- the order in which a quorum queue gets back the deliveries of a channel that is closed for an error: their consumers'
  tags give it, and some are generated. A script in which the order differs is dropped;
- the order between what a quorum queue delivers to different consumers: it hands on what it has for each of them in
  turn. Nor is that between consumers of a stream, each of which reads for itself;
- how many messages a stream has: it reports some seconds late;
- which messages make a chunk of a stream, so no consumer begins at ``last``. It is rare that messages of several steps
  make one chunk, which 3.10 delivers whole. No script reaches the limits that truncate a stream;
- whether publishes are confirmed one by one or several at once;
- the order of basic.cancel for several consumers of a channel, and the order in which a queue gets their deliveries
  back. Some tags are generated, and sorted among others;
- which of several queues uses up a limit that the consumers of a channel share (3.10): such channels have consumers of
  one queue alone. Whether the credit or the message is back in the queue first: nothing is requeued under such a limit;
- which queues hear first that a channel or connection ends. So none is closed that has consumers of several queues,
  and deliveries to return that one queue might send on to another;
- what the channels of a connection get of each other while it is closed for an error. A script in which the two sides
  differ there is dropped;
- which of several policies of one priority holds: theirs differ;
- which queue an exchange of the type ``x-random`` or ``x-local-random`` picks: there is but one queue that is ever
  bound to it;
- how dead letters of several queues are mixed when a policy, or time, makes these drop messages at once. A script in
  which they come together is dropped;
- when a connection or channel is counted that was opened or closed: under such limits the next operation comes a moment
  later;
- when a quorum queue hears that others have taken a dead letter that it kept for them. That gives it room again, so the
  next operation comes a moment later;
- who gets the messages of a quorum queue with a single active consumer, once a consumer with a priority came. 4.3.6
  may go on to serve a consumer whose channel is closed. A script in which the counts of such a queue differ is dropped;
- headers with decimals: RabbitMQ crashes when it dead-letters such messages at least once, and 4.3 when it dead-letters
  them into a stream. Scripts in which that is possible have none;
- what several channels give back at once when the broker is restarted: one might get it from another that ends later.
  There is no restart then, nor when something falls due meanwhile, nor where an ``x-recent-history`` exchange may be:
  3.10 may not start with one;
- which of several wrong values of a policy RabbitMQ reports, if different parts of it check their keys. That depends on
  the plugins. So in one policy only one part's values may be wrong;
- values of policies that crash or silence RabbitMQ itself: a ``max-age`` that is no text, and in 3.10 a
  ``queue-master-locator`` or ``ha-mode`` that is none;
- whether an idle channel still remembers permissions that were changed a second ago. Each such channel has something to
  do before, or the script is dropped;
- what happens when something expires during a look at it. No operation comes near such a moment. A script in which the
  live broker is too slow for that is dropped.

A difference that does not appear again when the same operations are played again is reported, and does not count.
"""
