// Likes: 100 groups of ten writes to ten videos, each group sent twice, as if its answer had been lost.
//   node counter.mjs redis://127.0.0.1:6379
import { Partition, connected } from "./writebehind.mjs";

const client = await connected(process.argv[2]);
const likes = new Partition(client, "videos.likes");
const statuses = {};
for (let group = 0; group < 100; group++) {
  const videos = Array.from({ length: 10 }, (_, n) => n + 1);
  const keys = videos.map((video) => `videos:${video}:likes`);
  const entries = videos.flatMap((video) => [video, video]); // video n gets n likes
  for (const again of [false, true]) {
    const [status] = await likes.write("wb1_write", keys, videos.length, ["0", ...entries], { again });
    statuses[status] = (statuses[status] ?? 0) + 1;
  }
}
const refused = await likes.write("wb1_write", ["videos:1:likes"], 1, ["0", 1, "many"]);
console.log(JSON.stringify({ statuses, refused: [refused[0], refused[3]] }));
await client.close();
