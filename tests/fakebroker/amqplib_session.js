// Plays one session with amqplib on the broker at the URL given, and prints what it saw, as one line of JSON.
// Used by test_amqplib.py.

const amqp = require("amqplib");

const BASIC_RECOVER = (60 << 16) | 110; // amqplib knows methods by their class and method id, and tells nobody

const told = (emitter, event) => new Promise((resolve) => emitter.once(event, resolve));
const codeOf = (error) => [error.code, error.message];

async function topology(connection) {
  const channel = await connection.createConfirmChannel();
  await channel.assertExchange("orders", "topic", { durable: false });
  const { queue, messageCount } = await channel.assertQueue("q", { durable: false, arguments: { "x-max-length": 10 } });
  const generated = (await channel.assertQueue("", { exclusive: true })).queue;
  await channel.bindQueue(queue, "orders", "order.#");
  await channel.bindExchange("amq.fanout", "orders", "order.*");
  return { channel, saw: { queue, messageCount, generated: generated.startsWith("amq.gen-") } };
}

async function publishing(channel) {
  const properties = {
    contentType: "application/json", headers: { n: 1, s: "é", t: { u: true } }, persistent: true,
    priority: 3, correlationId: "c", replyTo: "r", expiration: "60000", messageId: "m", timestamp: 1234567890,
    type: "t", appId: "a",
  };
  await new Promise((resolve, reject) =>
    channel.publish("orders", "order.created", Buffer.from("{}"), properties, (error) => (error ? reject(error) : resolve())));
  const returned = told(channel, "return");
  channel.publish("", "nowhere", Buffer.from("back"), { mandatory: true });
  await channel.waitForConfirms();
  const back = await returned;
  await channel.assertQueue("full", { durable: false, arguments: { "x-max-length": 0, "x-overflow": "reject-publish" } });
  const nacked = await new Promise((resolve) => channel.sendToQueue("full", Buffer.from("x"), {}, resolve));
  return {
    returned: [back.fields.replyCode, back.fields.replyText, back.fields.routingKey, back.content.toString()],
    nacked: nacked instanceof Error,
  };
}

async function getting(channel) {
  const message = await channel.get("q");
  channel.nack(message);
  const again = await channel.get("q");
  channel.ack(again);
  const nothing = await channel.get("q");
  const { contentType, headers, deliveryMode, priority, correlationId, expiration, timestamp } = message.properties;
  return {
    properties: { contentType, headers, deliveryMode, priority, correlationId, expiration, timestamp },
    fields: [message.fields.exchange, message.fields.routingKey, message.fields.redelivered, again.fields.redelivered],
    body: message.content.toString(),
    nothing,
  };
}

async function consuming(connection, publisher) {
  const channel = await connection.createChannel();
  await channel.prefetch(2);
  const deliveries = [];
  let most = 0;
  let outstanding = 0;
  const all = new Promise((resolve) => {
    channel.consume("q", (message) => {
      outstanding += 1;
      most = Math.max(most, outstanding);
      deliveries.push([message.content.toString(), message.fields.redelivered]);
      setImmediate(() => {
        outstanding -= 1;
        // Each message is put back once.
        if (message.fields.redelivered) channel.ack(message);
        else channel.nack(message, false, true);
        if (deliveries.length === 8) resolve();
      });
    }, { consumerTag: "c" });
  });
  for (const number of [0, 1, 2, 3]) publisher.sendToQueue("q", Buffer.from(String(number)));
  await all;
  await channel.cancel("c");
  await channel.close();
  const { messageCount, consumerCount } = await publisher.checkQueue("q");
  return { deliveries: deliveries.sort(), withinPrefetch: most <= 2, left: [messageCount, consumerCount] };
}

async function errors(connection, url) {
  const missing = await connection.createChannel();
  const closed = told(missing, "error");
  await missing.checkQueue("missing").catch(() => {});
  const wrong = await connection.createChannel();
  const unknown = told(wrong, "error");
  wrong.ack({ fields: { deliveryTag: 7 } });
  const refused = await amqp.connect(url.replace(":guest@", ":wrong@")).then(() => null, (error) => error.message);
  const other = await amqp.connect(url);
  const ended = told(other, "error");
  const channel = await other.createChannel();
  channel.on("error", () => {});
  channel.sendImmediately(BASIC_RECOVER, { requeue: false });
  return { missing: codeOf(await closed), unknownTag: codeOf(await unknown), refused, recover: codeOf(await ended) };
}

async function main(url) {
  const connection = await amqp.connect(url);
  const { channel, saw } = await topology(connection);
  const seen = {
    topology: saw,
    publishing: await publishing(channel),
    getting: await getting(channel),
    consuming: await consuming(connection, channel),
    errors: await errors(connection, url),
  };
  await connection.close();
  console.log(JSON.stringify(seen));
}

main(process.argv[2]).catch((error) => {
  console.error(error);
  process.exit(1);
});
