// Writes public/shirt.png: 1200 by 1500 pixels of cloth, which no codec makes small.
const { deflateSync, crc32 } = require("node:zlib")
const { mkdirSync, writeFileSync } = require("node:fs")

const [width, height] = [1200, 1500]
const rows = Buffer.alloc((width * 3 + 1) * height)
let seed = 1
for (let y = 0; y < height; y++) {
  for (let x = 0; x < width * 3; x++) {
    seed = (seed * 1103515245 + 12345) & 0x7fffffff
    rows[y * (width * 3 + 1) + 1 + x] = 120 + ((x / 9) & 31) + ((y / 3) & 31) + (seed >> 26)
  }
}

function chunk(type, data) {
  const body = Buffer.concat([Buffer.from(type), data])
  const out = Buffer.alloc(body.length + 8)
  out.writeUInt32BE(data.length, 0)
  body.copy(out, 4)
  out.writeUInt32BE(crc(body), body.length + 4)
  return out
}

function crc(bytes) {
  if (crc32) return crc32(bytes)
  let c = 0xffffffff
  for (const byte of bytes) {
    c ^= byte
    for (let k = 0; k < 8; k++) c = c & 1 ? (c >>> 1) ^ 0xedb88320 : c >>> 1
  }
  return (c ^ 0xffffffff) >>> 0
}

const head = Buffer.alloc(13)
head.writeUInt32BE(width, 0)
head.writeUInt32BE(height, 4)
head.set([8, 2, 0, 0, 0], 8)
mkdirSync("public", { recursive: true })
writeFileSync(
  "public/shirt.png",
  Buffer.concat([
    Buffer.from([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a]),
    chunk("IHDR", head),
    chunk("IDAT", deflateSync(rows, { level: 1 })),
    chunk("IEND", Buffer.alloc(0)),
  ])
)
