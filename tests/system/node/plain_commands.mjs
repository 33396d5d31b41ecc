// An application that knows nothing of the library: plain commands on numbers, hashes and sorted sets, for some seconds.
//   node plain_commands.mjs redis://127.0.0.1:6379 12
// It prints how often it sent each command. No key is emptied: a hash keeps its name, a board its champion.
import { setTimeout as pause } from "node:timers/promises";
import { connected } from "./writebehind.mjs";

const [url, seconds] = process.argv.slice(2);
const VIDEOS = 200, USERS = 50, PLAYERS = 60, COMMANDS_AT_A_TIME = 20, PAUSE_MS = 5;
const below = (bound) => Math.floor(Math.random() * bound);
const video = () => `video:${1 + below(VIDEOS)}:likes`;
const user = () => `user:${1 + below(USERS)}`;
const board = () => ["board:tetris", "board:go", "board:chess é"][below(3)];
const player = () => `player ${below(PLAYERS)}`;

const client = await connected(url);
const commands = {
  INCR: () => client.incr(video()),
  INCRBY: () => client.incrBy(video(), 1 + below(1_000)),
  DECR: () => client.decr(video()),
  SET: () => client.set(video(), String(below(100_000) - 10_000)),
  HINCRBY: () => client.hIncrBy(user(), "visits", 1 + below(5)),
  HSET: () => client.hSet(user(), { plan: ["free", "gold", 'ä "quoted"'][below(3)], session: String(below(9)) }),
  HDEL: () => client.hDel(user(), ["plan", "visits"][below(2)]),
  ZADD: () => client.zAdd(board(), { score: below(1_000_000), value: player() }),
  ZINCRBY: () => client.zIncrBy(board(), below(200) - 100, player()),
  ZREM: () => client.zRem(board(), player()),
};
const names = Object.keys(commands);
const sent = Object.fromEntries(names.map((name) => [name, 0]));

for (let number = 1; number <= USERS; number++) await client.hSet(`user:${number}`, "name", `user ${number}`);
for (const game of ["tetris", "go", "chess é"]) await client.zAdd(`board:${game}`, { score: 7, value: "champion" });
const end = performance.now() + 1_000 * Number(seconds);
while (performance.now() < end) {
  await Promise.all(Array.from({ length: COMMANDS_AT_A_TIME }, () => {
    const name = names[below(names.length)];
    sent[name]++;
    return commands[name]();
  }));
  await pause(PAUSE_MS);
}
console.log(JSON.stringify(sent));
await client.close();
