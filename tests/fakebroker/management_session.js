// A program with the management API and amqplib, on the broker at the URLs given, in a virtual host that it makes. Prints
// what it saw, as one line of JSON. Used by test_management_tools.py.

const amqp = require("amqplib");

const [amqpUrl, management, vhost] = process.argv.slice(2);
const { protocol, host, username, password } = new URL(management);
const authorization = `Basic ${Buffer.from(`${username}:${password}`).toString("base64")}`;

async function ask(method, path, body, headers = {}) {
  const answer = await fetch(`${protocol}//${host}/api/${path}`, {
    method,
    headers: { authorization, "content-type": "application/json", ...headers },
    body: body === undefined ? undefined : JSON.stringify(body),
  });
  const text = await answer.text();
  return { status: answer.status, phrase: answer.statusText, body: text ? JSON.parse(text) : null };
}

async function until(what) {
  const deadline = Date.now() + 20_000;
  for (;;) {
    const found = await what();
    if (found) return found;
    if (Date.now() > deadline) throw new Error(`not in time: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

async function main() {
  const here = `vhosts/${vhost}`;
  const saw = {};
  await ask("PUT", here, {});
  await ask("PUT", `permissions/${vhost}/${username}`, { configure: ".*", write: ".*", read: ".*" });
  saw.made = [
    (await ask("PUT", `queues/${vhost}/q`, { durable: true, arguments: { "x-max-length": 10 } })).status,
    (await ask("PUT", `exchanges/${vhost}/x`, { type: "topic", durable: true })).status,
    (await ask("PUT", `queues/${vhost}/q`, { durable: true, arguments: { "x-max-length": 10 } })).status,
  ];
  await ask("POST", `bindings/${vhost}/e/x/q/q`, { routing_key: "a.#" });
  saw.queue = (await ask("GET", `queues/${vhost}/q?columns=name,durable`)).body;
  saw.bindings = (await ask("GET", `queues/${vhost}/q/bindings`)).body.map((binding) => binding.source).sort();

  const connection = await amqp.connect(`${amqpUrl}/${vhost}`, { clientProperties: { connection_name: "on-node" } });
  const closed = new Promise((resolve) => connection.on("close", (error) => resolve(error)));
  const channel = await connection.createConfirmChannel();
  const message = { properties: { type: "p" }, routing_key: "a.b", payload: "from the API", payload_encoding: "string" };
  saw.routed = (await ask("POST", `exchanges/${vhost}/x/publish`, message)).body.routed;
  const consumed = await new Promise((resolve) => channel.consume("q", resolve, { noAck: true, consumerTag: "c" }));
  saw.consumed = [consumed.content.toString(), consumed.properties.type];
  await channel.cancel("c");
  channel.sendToQueue("q", Buffer.from("from amqplib"), { contentType: "application/json" });
  await channel.waitForConfirms();
  const question = { count: 1, ackmode: "ack_requeue_false", encoding: "auto" };
  const [got] = (await ask("POST", `queues/${vhost}/q/get`, question)).body;
  saw.got = [got.payload, got.properties.content_type];

  const missing = await ask("GET", `queues/${vhost}/missing`);
  saw.missing = [missing.status, missing.phrase, missing.body.error, missing.body.reason];
  const refused = await ask("GET", "whoami", undefined, { authorization: `Basic ${btoa("nobody:x")}` });
  saw.refused = [refused.status, refused.phrase];

  const mine = (each) => each.vhost === vhost && each.client_properties?.connection_name === "on-node";
  const { name } = await until(async () => (await ask("GET", "connections")).body.find(mine));
  await ask("DELETE", `connections/${encodeURIComponent(name)}`, undefined, { "x-reason": "closed by the API" });
  const error = await closed;
  saw.closed = [error.code, error.message];
  await ask("DELETE", here);
  console.log(JSON.stringify(saw));
}

main().catch((error) => {
  console.error(error);
  process.exit(1);
});
