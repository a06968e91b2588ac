#!/usr/bin/env python3
"""Traffic for the demo store: shoppers, custom modules and jobs on Postgres, Redis, storefront and Medusa.

demo-load.py fill-redis --jobs PORT --cache PORT      keys of a store that has run for months
demo-load.py hold --postgres-port P --database D       an export that forgot to commit
demo-load.py run --seconds N [--pace X] --postgres-port P --database D --jobs PORT --cache PORT --edge URL [--backend URL --key PK --region ID]

Standard library only: it speaks the two protocols itself, so the recording needs no package.
"""
import argparse
import collections
import hashlib
import http.client
import json
import random
import signal
import socket
import struct
import sys
import threading
import time
import urllib.parse


class Postgres:
    """One connection without password or TLS; extended protocol, so that statements arrive with $1, $2."""

    def __init__(self, port, database, user="medusa", application_name=""):
        self.file = socket.create_connection(("127.0.0.1", port)).makefile("rwb")
        words = f"user\0{user}\0database\0{database}\0application_name\0{application_name}\0\0".encode()
        self.file.write(struct.pack("!II", len(words) + 8, 196608) + words)
        self.file.flush()
        self.read_until_ready()

    def ask(self, sql, *params):
        """Rows as lists of str or None. Raises RuntimeError with the server's message."""
        bind = b"\0\0" + struct.pack("!HH", 0, len(params))
        for value in params:
            data = str(value).encode()
            bind += struct.pack("!I", len(data)) + data
        bind += struct.pack("!H", 0)
        for kind, body in (
            (b"P", b"\0" + sql.encode() + b"\0" + struct.pack("!H", 0)),
            (b"B", bind),
            (b"E", b"\0" + struct.pack("!I", 0)),
            (b"S", b""),
        ):
            self.file.write(kind + struct.pack("!I", len(body) + 4) + body)
        self.file.flush()
        return self.read_until_ready()

    def read_until_ready(self):
        rows, failure = [], None
        while True:
            kind, size = struct.unpack("!cI", self.file.read(5))
            body = self.file.read(size - 4)
            if kind == b"D":
                rows.append(self.read_row(body))
            elif kind == b"E":
                failure = [part[1:].decode() for part in body.split(b"\0") if part[:1] == b"M"][0]
            elif kind == b"Z":
                if failure:
                    raise RuntimeError(failure)
                return rows

    @staticmethod
    def read_row(body):
        row, at = [], 2
        for _ in range(struct.unpack("!H", body[:2])[0]):
            size = struct.unpack("!i", body[at : at + 4])[0]
            at += 4
            row.append(None if size < 0 else body[at : at + size].decode())
            at += max(size, 0)
        return row


class Redis:
    def __init__(self, port, name):
        self.file = socket.create_connection(("127.0.0.1", port)).makefile("rwb")
        self.ask("CLIENT", "SETNAME", name)

    def ask(self, *words):
        return self.pipeline([words])[0]

    def pipeline(self, commands):
        for words in commands:
            words = [str(w).encode() for w in words]
            self.file.write(b"*%d\r\n" % len(words) + b"".join(b"$%d\r\n%s\r\n" % (len(w), w) for w in words))
        self.file.flush()
        return [self.read() for _ in commands]

    def read(self):
        line = self.file.readline()
        kind, value = line[:1], line[1:-2]
        if kind == b"-":
            raise RuntimeError(value.decode())
        if kind == b"$":
            size = int(value)
            return None if size < 0 else self.file.read(size + 2)[:-2]
        if kind == b"*":
            return [self.read() for _ in range(int(value))]
        return int(value) if kind == b":" else value


def noise(seed, size):
    """Printable text that does not compress away; the same for the same seed."""
    words = [hashlib.md5(f"{seed}/{i}".encode()).hexdigest() for i in range(size // 32 + 1)]
    return "".join(words)[:size]


# ---- Redis: what months of running left behind ----

CATALOGUE_KEYS = 12_000
FAILED_JOBS = 1_800
QUEUE = "RedisEventBusService:events-queue"


def fill_redis(jobs_port, cache_port):
    jobs, cache = Redis(jobs_port, "fill"), Redis(cache_port, "fill")
    now_ms = int(time.time() * 1000)
    # BullMQ keeps failed jobs for ever unless removeOnFail is set.
    for n in range(1, FAILED_JOBS + 1):
        at = now_ms - (FAILED_JOBS - n) * 1_900_000
        data = json.dumps({"name": "order.placed", "metadata": {"eventGroupId": noise(n, 26)}, "data": {"id": f"order_{noise(n, 26)}"}})
        jobs.pipeline([
            ("HSET", f"{QUEUE}:{n}", "name", "order.placed", "data", data, "opts", '{"attempts":3,"removeOnComplete":true}', "timestamp", at, "attemptsMade", 3,
             "processedOn", at + 40, "finishedOn", at + 900, "failedReason", "connect ECONNREFUSED 10.0.4.12:443", "stacktrace", '["Error: connect ECONNREFUSED"]'),
            ("ZADD", f"{QUEUE}:failed", at + 900, n),
        ])
    jobs.ask("SET", f"{QUEUE}:id", FAILED_JOBS)
    jobs.ask("HSET", f"{QUEUE}:meta", "opts.maxLenEvents", 10000, "version", "bullmq:5")
    for n in range(700):
        jobs.ask("SET", f"sess:{noise(('s', n), 32)}", json.dumps({"cookie": {"originalMaxAge": 36000000, "httpOnly": True, "path": "/"}}), "EX", 20_000 + n * 20)
    # Custom code caches products for ever.
    for n in range(1, CATALOGUE_KEYS + 1):
        cache.ask("SET", catalogue_key(n), catalogue_value(n))
    cache.ask("SET", "catalog:tree", noise("tree", 420_000))
    for n in range(300):
        cache.ask("SET", f"catalog:facets:{n}", noise(n, 900), "EX", 3600)
    used = int([line.split(b":")[1] for line in cache.ask("INFO", "memory").split(b"\r\n") if line.startswith(b"used_memory:")][0])
    # Full but for one megabyte: evictions begin while we watch.
    cache.ask("CONFIG", "SET", "maxmemory", used + 1_000_000)
    cache.ask("CONFIG", "SET", "maxmemory-policy", "allkeys-lru")
    if jobs_port != cache_port:
        jobs.ask("CONFIG", "SET", "maxmemory", 256_000_000)
        jobs.ask("CONFIG", "SET", "maxmemory-policy", "allkeys-lru")
    for redis in (jobs, cache):
        redis.ask("CONFIG", "RESETSTAT")
        redis.ask("SLOWLOG", "RESET")


def catalogue_key(n):
    return f"catalog:product:prod_{n:08d}:{('eur', 'usd')[n % 2]}"


def catalogue_value(n):
    return json.dumps({"n": n, "body": noise(n, 1400 + n % 900)})


def hold(port, database):
    """Leaves a transaction open, with its snapshot, until the process is ended."""
    db = Postgres(port, database, application_name="nightly-export")
    db.ask("begin isolation level repeatable read")
    db.ask("select count(*) from wishlist")
    print("holding", flush=True)
    threading.Event().wait()


# ---- load: each function is one client; `turn` is called at its own rate ----

class Load:
    def __init__(self, args):
        self.args, self.done, self.counts, self.errors = args, threading.Event(), collections.Counter(), collections.Counter()
        self.ms = collections.Counter()
        self.threads = []

    def every(self, per_s, name, start):
        """Runs the function that start() returns `per_s` times a second in a thread of its own until the end."""
        def body():
            rnd = random.Random(name)
            turn = start()
            due = time.monotonic() + rnd.random() / per_s
            while not self.done.wait(max(0, due - time.monotonic())):
                due = max(due + 1 / per_s, time.monotonic() - 1)
                began = time.monotonic()
                try:
                    turn(rnd)
                    self.counts[name] += 1
                except Exception as error:  # one client's trouble must not stop the traffic; it is counted and shown
                    self.errors[f"{name}: {type(error).__name__}: {error}"[:160]] += 1
                    time.sleep(0.5)
                self.ms[name] += (time.monotonic() - began) * 1000
        self.threads.append(threading.Thread(target=body, daemon=True))

    def database(self):
        return Postgres(self.args.postgres_port, self.args.database)

    def run(self):
        signal.signal(signal.SIGTERM, lambda *_: self.done.set())
        for thread in self.threads:
            thread.start()
        self.done.wait(self.args.seconds)
        self.done.set()
        for thread in self.threads:
            thread.join(10)
        for name, n in sorted(self.counts.items()):
            print(f"{name:28} {n:7} turns {self.ms[name] / n:8.1f} ms each")
        for text, n in self.errors.most_common(12):
            print(f"ERROR x{n} {text}", file=sys.stderr)


def statement_loads(load):
    """Custom modules' and stock statements as Medusa's ORM words them."""
    db = load.database()
    products = [row[0] for row in db.ask("select id from product where status = 'published' and id like 'prod\\_01K0%' order by md5(id) limit 3000")]
    customers = [row[0] for row in db.ask("select id from customer where id like 'cus\\_01K0%' order by md5(id) limit 2000")]
    wishlists = [row[0] for row in db.ask("select id from wishlist order by md5(id) limit 1000")]
    carts = [row[0] for row in db.ask("select id from cart where id like 'cart\\_01K0%' order by md5(id) limit 1000")]

    def reviews():
        db = load.database()
        return lambda rnd: db.ask(
            'select avg("r0"."rating") as "average", count(*) as "count" from "product_review" as "r0" where "r0"."product_id" = $1 and "r0"."approved" = $2 and "r0"."deleted_at" is null',
            rnd.choice(products), "true")

    def images():
        db = load.database()
        return lambda rnd: db.ask(
            'select "i0".* from "image" as "i0" where "i0"."product_id" = $1 and "i0"."deleted_at" is null order by "i0"."rank" asc', rnd.choice(products))

    def order_list():
        db = load.database()
        return lambda rnd: db.ask(
            'select "o0"."id", "o0"."display_id", "o0"."status", "o0"."created_at", "o0"."currency_code" from "order" as "o0" where "o0"."deleted_at" is null and "o0"."is_draft_order" = $1 order by "o0"."created_at" desc limit $2 offset $3',
            "false", 20, rnd.randrange(40) * 20)

    def order_search():
        db = load.database()
        sql = ('select count(*) as "count" from "order" as "o0" left join "order_address" as "o1" on "o0"."shipping_address_id" = "o1"."id" and "o1"."deleted_at" is null'
               ' left join "order_address" as "o2" on "o0"."billing_address_id" = "o2"."id" and "o2"."deleted_at" is null'
               ' where (cast(o0.display_id as text) ilike $1 or "o0"."email" ilike $2 or "o1"."last_name" ilike $3 or "o1"."address_1" ilike $4 or "o2"."last_name" ilike $5 or "o2"."address_1" ilike $6)'
               ' and "o0"."deleted_at" is null and "o0"."is_draft_order" = $7')
        return lambda rnd: db.ask(sql, *[f"%{rnd.randrange(60000)}%"] * 6, "false")

    def customer_by_email():
        db = load.database()
        return lambda rnd: db.ask('select id, has_account from customer where email = $1', f"shopper{rnd.randrange(60000)}@example.com")

    def loyalty():
        db = load.database()
        return lambda rnd: db.ask('select sum(l.points) from loyalty_entry l where l.customer_id = $1', rnd.choice(customers))

    def wishlist():
        db = load.database()
        def turn(rnd):
            items = db.ask('select "w0"."id", "w0"."variant_id" from "wishlist_item" as "w0" where "w0"."wishlist_id" = $1 and "w0"."deleted_at" is null order by "w0"."created_at" desc limit $2', rnd.choice(wishlists), 24)
            for _, variant in items:
                db.ask('select "p0"."id", "p0"."title", "p0"."sku", "p0"."product_id" from "product_variant" as "p0" where "p0"."id" = $1 and "p0"."deleted_at" is null', variant)
        return turn

    def cart_read():
        db = load.database()
        return lambda rnd: db.ask('select "c0".* from "cart_line_item" as "c0" where "c0"."cart_id" in ($1) and "c0"."deleted_at" is null', rnd.choice(carts))

    def cart_touch():
        db = load.database()
        return lambda rnd: db.ask('update "cart" set "updated_at" = now() where "id" = $1 and "deleted_at" is null', rnd.choice(carts))

    for per_s, turn in ((8, reviews), (6, images), (1, order_list), (0.3, order_search), (3, customer_by_email), (2, loyalty), (4, wishlist), (25, cart_read), (4, cart_touch)):
        load.every(per_s * load.args.pace, f"sql {turn.__name__}", turn)


def link_filter_load(load):
    """Without a Medusa: the two statements its product list sends (it reads every id of the channel, then sends them back)."""
    def start():
        db = load.database()
        channel = db.ask("select sales_channel_id from product_sales_channel group by 1 order by count(*) desc limit 1")[0][0]
        def turn(rnd):
            rows = db.ask('select "l0"."sales_channel_id", "l0"."product_id" from "product_sales_channel" as "l0" where "l0"."deleted_at" is null and "l0"."sales_channel_id" in ($1)', channel)
            ids = [row[1] for row in rows][: 19_000 + rnd.randrange(400)]
            places = ", ".join(f"${n}" for n in range(1, len(ids) + 1))
            db.ask(f'select "p0"."id", "p0"."title", "p0"."handle", "p0"."thumbnail" from "product" as "p0" where "p0"."status" = ${len(ids) + 1} and "p0"."id" in ({places}) and "p0"."deleted_at" is null order by "p0"."id" asc limit ${len(ids) + 2}', *ids, "published", 12)
        return turn
    load.every(0.4 * load.args.pace, "sql product list", start)


def cache_loads(load, own_entries):
    """own_entries: also plays the caching module's `mc:` entries (a real Medusa writes its own)."""
    def catalogue():
        cache = Redis(load.args.cache, "catalog-cache")
        def turn(rnd):
            n = rnd.randrange(1, CATALOGUE_KEYS * 3)
            if cache.ask("GET", catalogue_key(n)) is None:
                cache.ask("SET", catalogue_key(n), catalogue_value(n))
        return turn

    def invalidate():
        cache = Redis(load.args.cache, "catalog-cache")
        def turn(rnd):
            keys = cache.ask("KEYS", f"catalog:product:prod_{rnd.randrange(CATALOGUE_KEYS):08d}:*")
            if keys:
                cache.ask("DEL", *keys)
        return turn

    def entries():
        cache = Redis(load.args.cache, "medusa-cache-redis")
        def turn(rnd):
            key = "mc:" + noise(("mc", rnd.randrange(4000)), 16)
            if cache.ask("HMGET", key, "data", "options")[0] is None:
                cache.pipeline([("HSET", key, "data", noise(key, 700), "options", "{}"), ("EXPIRE", key, 60)])
        return turn

    load.every(60, "redis catalogue", catalogue)
    load.every(2, "redis invalidate", invalidate)
    if own_entries:
        load.every(25, "redis mc entries", entries)


def http_loads(load):
    def client(base, paths, headers):
        def start():
            parts = urllib.parse.urlsplit(base)
            state = {}
            def turn(rnd):
                link = state.setdefault("link", http.client.HTTPConnection(parts.hostname, parts.port, timeout=60))
                try:
                    link.request("GET", paths(rnd), headers=headers)
                    link.getresponse().read()
                except (OSError, http.client.HTTPException):
                    state.clear()
                    raise
            return turn
        return start

    def page(rnd):
        return rnd.choices([f"/us/products/piece-{rnd.randrange(60)}", f"/us/collections/season-{rnd.randrange(12)}", "/us", "/us/cart", "/us/account",
                            "/_next/static/chunks/main-4f9a1c2be07d5a31.js", f"/media/{rnd.randrange(8)}.png"], [6, 3, 2, 1, 1, 3, 2])[0]

    load.every(6 * load.args.pace, "http storefront", client(load.args.edge, page, {"Accept-Encoding": "gzip, br", "User-Agent": "shopper"}))
    if load.args.backend:
        region = load.args.region
        def api(rnd):
            return rnd.choices([f"/store/products?limit=12&offset={rnd.randrange(1500) * 12}&region_id={region}", f"/store/products?q=lamp+{rnd.randrange(40)}&limit=12&region_id={region}",
                                "/store/collections?limit=20", "/store/regions"], [6, 1, 2, 2])[0]
        load.every(0.6 * load.args.pace, "http medusa", client(load.args.backend, api, {"x-publishable-api-key": load.args.key}))


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("what", choices=["fill-redis", "hold", "run"])
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--pace", type=float, default=1, help="times the shoppers; Redis keeps its rate")
    for name in ("postgres-port", "jobs", "cache"):
        parser.add_argument(f"--{name}", type=int)
    for name in ("database", "edge", "backend", "key", "region"):
        parser.add_argument(f"--{name}", default="")
    args = parser.parse_args()
    if args.what == "fill-redis":
        return fill_redis(args.jobs, args.cache)
    if args.what == "hold":
        return hold(args.postgres_port, args.database)
    load = Load(args)
    statement_loads(load)
    cache_loads(load, own_entries=not args.backend)
    http_loads(load)
    if not args.backend:
        link_filter_load(load)
    load.run()


if __name__ == "__main__":
    main()
