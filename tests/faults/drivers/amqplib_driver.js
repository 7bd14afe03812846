// amqplib as amqplib_driver.py uses it: reads steps of clients from stdin, and answers each with null, or with the error.

const fs = require("fs");
const readline = require("readline");
const amqp = require("amqplib");

const [queue, count, timeout] = [process.argv[2], Number(process.argv[3]), Number(process.argv[4])];
const socket = { timeout, ca: [fs.readFileSync(process.env.CA)], servername: "localhost" };
const named = (error) => (typeof error.code === "string" ? error.code : error.message.split(/[:;"]/)[0].trim().toLowerCase());

class Client {
  start() {}

  async connect(url) {
    this.lost = undefined;
    this.connection = await amqp.connect(url, socket);
    this.connection.on("error", (error) => (this.lost = error));
    this.connection.on("close", () => (this.lost = this.lost || new Error("connection closed")));
    this.channel = await this.connection.createConfirmChannel();
    this.channel.on("error", (error) => (this.lost = error));
    this.channel.on("return", () => (this.returned = true));
    await this.declare();
  }

  // amqplib tells of a lost connection by an event, and never to what waits for a confirm or for messages.
  untilLost(begin) {
    return new Promise((resolve, reject) => {
      const done = (error) => {
        clearInterval(look);
        error ? reject(error) : resolve();
      };
      const look = setInterval(() => this.lost && done(this.lost), 10);
      try {
        begin(done);
      } catch (error) {
        done(error);
      }
    });
  }

  publish() {
    this.returned = false;
    return this.untilLost((done) =>
      this.channel.publish("", queue, Buffer.from("one"), { mandatory: true }, (error) =>
        done(error || (this.returned ? new Error("returned") : null)),
      ),
    );
  }

  declare() {
    return this.channel.assertQueue(queue);
  }

  async get() {
    this.channel.ack(await this.channel.get(queue));
  }

  async subscribe() {
    this.received = [];
    await this.channel.prefetch(1);
    await this.channel.consume(queue, (message) => {
      this.received.push(message);
      if (message) this.channel.ack(message);
    });
  }

  consume() {
    return this.untilLost((done) => {
      const look = setInterval(() => {
        const several = this.received.slice(0, count);
        if (!this.lost && several.length < count && !several.includes(null)) return;
        clearInterval(look);
        if (this.lost) return;
        if (several.includes(null)) return done(new Error("cancelled"));
        this.received.splice(0, count);
        done(several.some((message) => message.fields.redelivered) ? new Error("redelivered") : null);
      }, 10);
    });
  }

  idle() {
    return this.untilLost(() => {});
  }

  close() {
    if (this.connection) this.connection.connection.stream.destroy();
  }
}

const clients = {};
readline.createInterface({ input: process.stdin }).on("line", async (line) => {
  const { number, client, step, url } = JSON.parse(line);
  let answer = null;
  try {
    clients[client] = clients[client] || new Client();
    await clients[client][step](url);
  } catch (error) {
    answer = named(error || new Error("nacked"));
  }
  console.log(JSON.stringify({ number, answer }));
}).on("close", () => process.exit());
