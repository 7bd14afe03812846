// amqplib as drivers.py uses it: reads "open" and "publish" from stdin, and answers each with null, or with the error.

const fs = require("fs");
const readline = require("readline");
const amqp = require("amqplib");

const [url, timeout] = process.argv.slice(2);
const socket = { timeout: Number(timeout), ca: [fs.readFileSync(process.env.CA)], servername: "localhost" };
let channel, lost, returned;

const named = (error) => (typeof error.code === "string" ? error.code : error.message.split(/[:;"]/)[0].trim().toLowerCase());

async function open() {
  lost = undefined;
  const connection = await amqp.connect(`${url}?heartbeat=0`, socket);
  connection.on("error", (error) => (lost = error));
  connection.on("close", () => (lost = lost || new Error("connection closed")));
  channel = await connection.createConfirmChannel();
  channel.on("error", (error) => (lost = error));
  channel.on("return", (message) => (returned = message));
  await channel.assertQueue("orders", { durable: false });
}

// amqplib tells of a lost connection by an event, and never of a publish that waits for its confirm then.
function publish() {
  returned = undefined;
  return new Promise((resolve, reject) => {
    const look = setInterval(() => lost && done(lost), 10);
    const done = (error) => {
      clearInterval(look);
      error ? reject(error) : returned ? reject(new Error("returned")) : resolve();
    };
    try {
      channel.publish("", "orders", Buffer.from("one"), { mandatory: true }, done);
    } catch (error) {
      done(error);
    }
  });
}

const steps = { open, publish };
readline.createInterface({ input: process.stdin }).on("line", async (line) => {
  let answer = null;
  try {
    await steps[line]();
  } catch (error) {
    answer = named(error || new Error("nacked"));
  }
  console.log(JSON.stringify(answer));
});
