// A partition of a mapping, for programs in JavaScript: docs/functions.md in sixty lines, on npm's `redis`.
// It enters, writes groups with sequence numbers, and repeats a group whose answer was lost. It does not replay.
import { randomBytes } from "node:crypto";
import { createClient } from "redis";

const CACHED_VALUE_TTL_MS = 60_000;
const identity = () => randomBytes(16).toString("hex");

export async function connected(url) {
  const client = createClient({ url });
  client.on("error", (error) => console.error(`redis: ${error.message}`)); // it connects again by itself
  return client.connect();
}

export class Partition {
  #producer = randomBytes(12).toString("hex");
  #number = 0;
  #incarnation = "";

  constructor(client, mapping, { namespace = "default", partition = 0, partitions = 1 } = {}) {
    this.client = client;
    this.prefix = `wb:{${encodeURIComponent(namespace)}:${encodeURIComponent(mapping)}:${partition}}:`;
    this.layout = partitions;
  }

  keys(...names) {
    return names.map((name) => this.prefix + name);
  }

  call(name, keys, ...args) {
    return this.client.sendCommand(["FCALL", name, String(keys.length), ...keys, ...args.map(String)]);
  }

  async enter(leave = "") {
    const batch = identity();
    const keys = this.keys(
      "header", "open", "open:lanes", "lanes", "queue",
      `batch:${batch}`, `batch:${batch}:lanes`, `batch:${batch}:captured`, "open:captured",
    );
    const [status, incarnation] = await this.call(
      "wb1_enter", keys, this.layout, batch, identity(), leave, CACHED_VALUE_TTL_MS,
    );
    if (status !== "OK") throw new Error(`enter: ${status}`);
    if (incarnation !== this.#incarnation) [this.#incarnation, this.#number] = [incarnation, 0];
  }

  // One group: the answer of the function. `writes` single writes; `moreKeys` and `args` are the function's own.
  async write(name, moreKeys, writes, args, { again = false } = {}) {
    if (this.#incarnation === "") await this.enter();
    const number = again ? this.#number : this.#number + 1;
    const keys = [...this.keys("header", "open", "open:lanes", "lanes"), ...moreKeys];
    const reply = await this.call(
      name, keys, this.layout, this.#incarnation, this.#producer, number, writes, 0, ...args,
    );
    if (["OK", "ALREADY", "REFUSED"].includes(reply[0])) this.#number = number;
    return reply;
  }
}
