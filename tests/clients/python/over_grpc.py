"""aetcd, an asynchronous Python client over gRPC, against the member at HOST PORT (scripts/clients.sh)."""

import asyncio
import sys

import aetcd


async def keys_and_values(client):
    await client.put(b"py/a", b"1")
    replaced = await client.put(b"py/a", b"2", prev_kv=True)
    assert replaced.prev_kv.value == b"1"
    found = await client.get(b"py/a")
    assert (found.value, found.version) == (b"2", 2)
    await client.put(b"py/b", b"3")
    pairs = [(kv.key, kv.value) for kv in await client.get_prefix(b"py/")]
    assert pairs == [(b"py/a", b"2"), (b"py/b", b"3")]
    assert await client.replace(b"py/a", b"2", b"4")
    assert not await client.replace(b"py/a", b"2", b"5")
    assert len(await client.delete_prefix(b"py/", prev_kv=True)) == 2
    assert await client.get(b"py/a") is None


async def transactions(client):
    t = client.transactions
    create = dict(
        compare=[t.version(b"py/t") == 0],
        success=[t.put(b"py/t", b"mine")],
        failure=[t.get(b"py/t")],
    )
    created, _ = await client.transaction(**create)
    again, answers = await client.transaction(**create)
    assert (created, again) == (True, False)
    assert b"mine" in repr(answers).encode()


async def watch(client):
    first = await client.put(b"py/w/a", b"0")
    stream = await client.watch_prefix(b"py/w/", start_revision=first.header.revision, prev_kv=True)
    for value in (b"1", b"2"):
        await client.put(b"py/w/a", value)
    await client.delete(b"py/w/a")
    heard = []
    async for event in stream:
        heard.append((event.kind, event.kv.value, event.prev_kv.value))
        if len(heard) == 4:
            await stream.cancel()
    put, delete = aetcd.rtypes.EventKind.PUT, aetcd.rtypes.EventKind.DELETE
    assert heard == [
        (put, b"0", b""),
        (put, b"1", b"0"),
        (put, b"2", b"1"),
        (delete, b"", b"2"),
    ], heard


async def leases(client):
    lease = await client.lease(60)
    await client.put(b"py/l", b"1", lease=lease)
    assert await lease.keys() == [b"py/l"]
    assert await lease.granted_ttl() == 60
    await lease.refresh()
    await lease.revoke()
    assert await client.get(b"py/l") is None
    try:
        await client.lease(60, lease_id=lease.id)
        await client.lease(60, lease_id=lease.id)
        raise AssertionError("the same lease twice")
    except aetcd.DuplicateLeaseError:
        pass


async def locks(client):
    holder, other = client.lock(b"py/lock", ttl=10), client.lock(b"py/lock", ttl=10)
    assert await holder.acquire()
    assert not await other.acquire(timeout=0)
    await holder.refresh()
    waiting = asyncio.create_task(other.acquire(timeout=10))
    await holder.release()
    assert await waiting
    await other.release()


async def cluster(client):
    status = await client.status()
    assert status.db_size > 0
    members = [member async for member in client.members()]
    assert [member.id for member in members] == [status.leader.id]
    assert [alarm async for alarm in client.list_alarms()] == []
    revision = (await client.put(b"py/c", b"1")).header.revision
    await client.compact(revision)
    await client.defragment()


async def main(host, port):
    async with aetcd.Client(host=host, port=int(port), timeout=20) as client:
        for case in (keys_and_values, transactions, watch, leases, locks, cluster):
            await case(client)
            print(f"python, gRPC: {case.__name__}")


asyncio.run(main(*sys.argv[1:3]))
