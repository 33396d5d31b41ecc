// Clicks: 50 groups of twenty events, in their order.
//   node events.mjs redis://127.0.0.1:6379
import { Partition, connected } from "./writebehind.mjs";

const client = await connected(process.argv[2]);
const clicks = new Partition(client, "clicks");
for (let group = 0; group < 50; group++) {
  const events = Array.from({ length: 20 }, (_, n) =>
    JSON.stringify({ number: String(group * 20 + n), page: n % 2 ? `/ä/"${n}"` : null }));
  const [status] = await clicks.write("wb1_write_events", [], events.length, events);
  if (status !== "OK") throw new Error(status);
}
await client.close();
