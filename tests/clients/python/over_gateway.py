"""etcd3gw, a Python client over the JSON gateway, against the member at HOST PORT (scripts/clients.sh)."""

import sys
import threading

from etcd3gw.client import Etcd3Client
from etcd3gw.exceptions import WatchTimedOut
from etcd3gw.utils import _encode


def keys_and_values(client):
    assert client.put("gw/a", "1")
    assert client.get("gw/a") == [b"1"]
    assert client.create("gw/b", "2")
    assert not client.create("gw/b", "3")
    assert client.replace("gw/b", "2", "4")
    assert not client.replace("gw/b", "2", "5")
    pairs = [(meta["key"], value) for value, meta in client.get_prefix("gw/")]
    assert pairs == [(b"gw/a", b"1"), (b"gw/b", b"4")], pairs
    assert client.delete_prefix("gw/")
    assert client.get("gw/a") == []


def transactions(client):
    key = _encode("gw/t")
    answer = client.transaction(
        {
            "compare": [{"key": key, "result": "EQUAL", "target": "CREATE", "create_revision": 0}],
            "success": [{"request_put": {"key": key, "value": _encode("1")}}],
            "failure": [{"request_range": {"key": key}}],
        }
    )
    assert answer["succeeded"] is True
    assert client.get("gw/t") == [b"1"]


def watch(client):
    heard, cancel = client.watch("gw/w")
    for value in ("1", "2"):
        client.put("gw/w", value)
    values = [next(heard)["kv"]["value"] for _ in range(2)]
    cancel()
    assert values == [b"1", b"2"], values
    threading.Timer(0.5, client.put, ("gw/once", "1")).start()
    event = client.watch_once("gw/once", timeout=20)
    assert event["kv"]["value"] == b"1"
    try:
        client.watch_once("gw/never", timeout=1)
        raise AssertionError("an event of a key that nobody writes")
    except WatchTimedOut:
        pass


def leases(client):
    lease = client.lease(ttl=60)
    client.put("gw/l", "1", lease=lease)
    assert lease.keys() == [b"gw/l"]
    assert 0 < lease.ttl() <= 60
    assert lease.refresh() == 60
    assert lease.revoke()
    assert client.get("gw/l") == []


def locks(client):
    with client.lock("gw-lock", ttl=10) as holder:
        assert holder.is_acquired()
        assert not client.lock("gw-lock", ttl=10).acquire()
        assert holder.refresh() == 10
    assert client.lock("gw-lock", ttl=10).acquire()


def cluster(client):
    status = client.status()
    assert int(status["dbSize"]) > 0
    assert [member["ID"] for member in client.members()] == [status["leader"]]


client = Etcd3Client(host=sys.argv[1], port=int(sys.argv[2]))
for case in (keys_and_values, transactions, watch, leases, locks, cluster):
    case(client)
    print(f"python, gateway: {case.__name__}")
