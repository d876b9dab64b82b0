"""From a URL to the settings of a client."""

from __future__ import annotations

from typing import Any, Literal

import pytest
import redis
import redis.asyncio
from redis.credentials import UsernamePasswordCredentialProvider

from a2a_session_manager.exceptions import InvalidSessionOperation
from a2a_session_manager.storage import create_redis_session_store, store_from_url
from a2a_session_manager.storage.redis import RedisSessionStore
from a2a_session_manager.storage.redis.address import RedisAddress, address_from_url
from a2a_session_manager.storage.redis.clients import built
from a2a_session_manager.storage.redis.options import check_options


def test_a_plain_url_names_a_server_and_its_database() -> None:
    address, store_options = address_from_url("redis://localhost:6380/2")

    assert address == RedisAddress("server", (("localhost", 6380),), options={"db": 2})
    assert store_options == {}


def test_what_is_left_out_is_as_redis_has_it() -> None:
    address, _ = address_from_url("redis://localhost")

    assert address == RedisAddress("server", (("localhost", 6379),))


def test_user_and_password_are_unescaped() -> None:
    address, _ = address_from_url("redis://ann:p%40ss%2F@localhost")

    assert address.options == {"username": "ann", "password": "p@ss/"}


def test_a_password_may_come_without_a_user() -> None:
    address, _ = address_from_url("redis://:secret@localhost")

    assert address.options == {"password": "secret"}


def test_rediss_is_encrypted() -> None:
    address, _ = address_from_url("rediss://localhost?ssl_cert_reqs=none&ssl_check_hostname=false")

    assert address.options == {"ssl": True, "ssl_cert_reqs": "none", "ssl_check_hostname": False}


def test_a_cluster_has_several_hosts_and_no_database() -> None:
    address, _ = address_from_url("redis+cluster://:secret@one:7000,two,[::1]:7002/0")

    assert address == RedisAddress(
        "cluster", (("one", 7000), ("two", 6379), ("::1", 7002)), options={"password": "secret"}
    )


def test_sentinels_name_a_service_and_perhaps_a_database() -> None:
    address, _ = address_from_url("redis+sentinel://:secret@one,two:26380/mymaster/3?sentinel_password=other")

    assert address == RedisAddress(
        "sentinel",
        (("one", 26379), ("two", 26380)),
        "mymaster",
        {"password": "secret", "db": 3},
        {"password": "other"},
    )


def test_the_options_of_the_store_are_kept_apart() -> None:
    address, store_options = address_from_url("redis://localhost?key_prefix=chat:&expiration_seconds=60&protocol=3")

    assert store_options == {"key_prefix": "chat:", "expiration_seconds": "60"}
    assert address.options == {"protocol": 3}


@pytest.mark.parametrize(
    ("url", "complaint"),
    [
        ("redis://", "names no host"),
        ("redis://one,two", "several hosts"),
        ("redis://localhost:port", "write host:port"),
        ("redis://localhost:99999", "write host:port"),
        ("redis://localhost/zero", "the database's number"),
        ("redis://localhost/0/1", "the database's number"),
        (f"redis://localhost/{'9' * 5_000}", "the database's number"),
        ("redis://localhost:0", "write host:port"),
        ("redis://local\ud800host", "write host:port"),
        ("redis://[::1/0", "cannot be read: percent-encode"),
        ("redis://local\nhost", "holds a control character"),
        ("redis://localhost/0#x", "write it as %23"),
        ("redis://:%ff@localhost", "its percent-encoding is no UTF-8"),
        ("redis://localhost?password=%ff", "its percent-encoding is no UTF-8"),
        ("redis://localhost?password=a&password=b", "says password twice"),
        ("redis://localhost?colour=red", "its option 1 is unknown: known: db, .*, key_prefix, expiration_seconds"),
        ("redis://localhost?db=first", "db cannot be read"),
        ("redis://localhost?ssl=perhaps", "ssl cannot be read"),
        ("redis+cluster://localhost/1", "database 0 only"),
        ("redis+sentinel://localhost", "names no service"),
        ("redis+cluster+tls://localhost", "the schemes of Redis"),
    ],
)
def test_a_bad_url_is_refused_with_the_remedy(url: str, complaint: str) -> None:
    with pytest.raises(InvalidSessionOperation, match=complaint.replace("+", r"\+")):
        address_from_url(url)


def test_no_repr_shows_a_password() -> None:
    address, _ = address_from_url("redis+sentinel://ann:secret@localhost/m?sentinel_password=secret&password=secret")

    assert "secret" not in repr(address)


def test_a_url_in_keys_of_a_host_is_refused_and_not_repeated() -> None:
    with pytest.raises(InvalidSessionOperation, match="give a URL to store_from_url") as refused:
        RedisAddress.server("redis://:secret@localhost", 6379)

    assert "secret" not in str(refused.value)


def test_an_option_that_redis_does_not_know_is_refused_at_once() -> None:
    with pytest.raises(InvalidSessionOperation, match="takes no colour for a server"):
        check_options(RedisAddress.server("localhost", 6379, colour="red"))


@pytest.mark.parametrize("url", ["rediss://localhost", "redis+sentinel://localhost/mymaster?ssl=true"])
def test_encrypted_connections_share_one_context_which_is_loaded_beforehand(url: str) -> None:
    client: Any = built(address_from_url(url)[0])
    pool = client.connection_pool

    first, second = pool.make_connection(), pool.make_connection()

    assert first.ssl_context is second.ssl_context
    assert first.ssl_context.context is not None


def test_encrypted_nodes_share_one_context_which_is_loaded_beforehand() -> None:
    client: Any = built(address_from_url("redis+cluster://127.0.0.1?ssl=true")[0])

    [node] = client.nodes_manager.startup_nodes.values()
    first, second = (node.acquire_connection() for _ in range(2))

    assert first.ssl_context is second.ssl_context
    assert first.ssl_context.context is not None
    assert client.nodes_manager.connection_kwargs["connection_class"] is type(first)


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        ({"max_connections": 0}, "max_connections of a server cannot be 0: give a whole number above 0"),
        ({"max_connections": "8"}, "max_connections"),
        ({"max_connections": True}, "max_connections"),
        ({"socket_timeout": "5"}, "socket_timeout .* cannot be a str: give a number of seconds"),
        ({"socket_timeout": float("nan")}, "socket_timeout"),
        ({"socket_connect_timeout": -1}, "socket_connect_timeout"),
        ({"health_check_interval": "often"}, "health_check_interval"),
        ({"protocol": 4}, "give 2 or 3"),
        ({"db": -1}, "the number of a database"),
        ({"password": 7}, "password of a server cannot be a int: give a text"),
        ({"retry": 3}, "Retry"),
        ({"ssl": "yes"}, "ssl .* True or False"),
        ({"ssl": True, "ssl_cert_reqs": "sometimes"}, "'none', 'optional' or 'required'"),
        ({"ssl_ca_certs": "ca.pem"}, "ssl_ca_certs without TLS"),
        ({"connection_pool": object()}, "hand in a client"),
        ({"single_connection_client": True}, "hand in a client"),
    ],
)
def test_an_option_that_redis_py_cannot_use_is_refused_by_name(options: dict[str, Any], complaint: str) -> None:
    with pytest.raises(InvalidSessionOperation, match=complaint):
        create_redis_session_store(**options)


@pytest.mark.parametrize("option", ["max_connections=-1", "socket_timeout=inf", "protocol=9"])
@pytest.mark.parametrize(
    "servers", ["redis://127.0.0.1", "redis+cluster://127.0.0.1", "redis+sentinel://127.0.0.1/main"]
)
def test_a_url_with_such_an_option_is_refused(servers: str, option: str) -> None:
    with pytest.raises(InvalidSessionOperation, match=option.partition("=")[0]):
        store_from_url(f"{servers}?{option}")


@pytest.mark.parametrize(
    "options",
    [
        {"ssl": True, "ssl_ca_certs": "/nowhere/ca.pem"},
        {"ssl": True, "ssl_certfile": "/nowhere/me.crt", "ssl_keyfile": "/nowhere/me.key"},
        {"ssl": True, "ssl_ciphers": "no such cipher"},
        {"username": "ann", "credential_provider": UsernamePasswordCredentialProvider("ann")},
    ],
)
@pytest.mark.parametrize("kind", ["server", "cluster"])
async def test_options_that_redis_py_finds_wrong_when_it_reads_them_are_no_outage(
    kind: Literal["server", "cluster"], options: dict[str, Any]
) -> None:
    store = RedisSessionStore(address=RedisAddress(kind, (("127.0.0.1", 1),), options=options))

    for _ in range(2):
        with pytest.raises(InvalidSessionOperation, match="cannot use the options"):
            await store.get("talk")
        with pytest.raises(InvalidSessionOperation, match="cannot use the options"):
            await store.create("talk")
    await store.aclose()


@pytest.mark.parametrize(
    "options",
    [{"db": "s3cret"}, {"ssl_cert_reqs": "s3cret", "ssl": True}, {"protocol": "s3cret"}, {"host": "u:s3cret@h"}],
)
def test_a_text_in_the_wrong_place_is_not_repeated(options: dict[str, Any]) -> None:
    with pytest.raises(InvalidSessionOperation) as refusal:
        create_redis_session_store(**options)

    assert "s3cret" not in str(refusal.value)


@pytest.mark.parametrize("address", [{"host": None}, {"host": ""}, {"host": 5}, {"port": "6379"}, {"port": None}])
def test_what_is_no_host_or_port_is_refused(address: dict[str, Any]) -> None:
    with pytest.raises(InvalidSessionOperation, match="host= takes a name or an address, port= a number"):
        create_redis_session_store(**address)


@pytest.mark.parametrize("client", [5, "redis://localhost", redis.Redis(), redis.asyncio.ConnectionPool()])
def test_what_is_no_client_is_refused(client: Any) -> None:
    with pytest.raises(InvalidSessionOperation, match=r"cannot be awaited: hand in a client of redis\.asyncio"):
        RedisSessionStore(client)


@pytest.mark.parametrize(
    ("url", "same", "other"),
    [
        ("redis://u:p@h/0", "redis://h:6379", "redis://h/1"),
        ("redis://h/?key_prefix=a:", "redis://h/0?key_prefix=a:&expiration_seconds=5", "redis://h/0"),
        ("redis+cluster://a,b", "redis+cluster://a:6379,b", "redis+cluster://c"),
        ("redis+sentinel://a/m", "redis+sentinel://a:26379/m/0", "redis+sentinel://a/n"),
    ],
)
def test_two_stores_know_that_they_keep_the_same_data(url: str, same: str, other: str) -> None:
    places = [store_from_url(each)._open_backend.place for each in (url, same, other)]

    assert places[0] == places[1]
    assert places[0] != places[2]


def test_a_client_that_was_handed_in_is_a_place_of_its_own() -> None:
    client = redis.asyncio.Redis()
    places = [RedisSessionStore(each)._open_backend.place for each in (client, client, redis.asyncio.Redis())]

    assert places[0] == places[1]
    assert places[0] != places[2]
