// The session of golden_sessions.py with amqplib, on the broker at the URL given.

const amqp = require("amqplib");

const told = (emitter, event) => new Promise((resolve) => emitter.once(event, resolve));

async function main(url) {
  const connection = await amqp.connect(url);
  let channel = await connection.createConfirmChannel();
  await channel.assertExchange("x", "topic");
  await channel.assertQueue("q", { arguments: { "x-max-length": 10 } });
  await channel.assertQueue("", { exclusive: true });
  await channel.bindQueue("q", "x", "a.#");
  const properties = {
    contentType: "text/plain", headers: { n: 1, s: "é", list: [1, "two"], t: { u: true } }, persistent: true, messageId: "m",
  };
  for (const number of [0, 1, 2]) {
    channel.publish("x", "a.b", Buffer.from(String(number)), properties);
    await channel.waitForConfirms();
  }
  const returned = told(channel, "return");
  channel.publish("x", "nowhere", Buffer.from("back"), { mandatory: true });
  await returned;
  await channel.waitForConfirms();
  channel.nack(await channel.get("q"));
  channel.ack(await channel.get("q"));
  await channel.prefetch(1);
  let count = 0;
  await new Promise((resolve) => {
    channel.consume("q", (message) => {
      channel.ack(message);
      count += 1;
      if (count === 2) resolve();
    }, { consumerTag: "c" });
  });
  await channel.cancel("c");
  const closed = told(channel, "error");
  await channel.checkQueue("missing").catch(() => {});
  await closed;
  channel = await connection.createChannel();
  await channel.purgeQueue("q");
  await channel.deleteQueue("q");
  await channel.deleteExchange("x");
  await connection.close();
}

main(process.argv[2]).catch((error) => {
  console.error(error);
  process.exit(1);
});
