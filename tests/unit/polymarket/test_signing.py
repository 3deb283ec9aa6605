"""Level 2 headers: the SDK's own, fresh for each request, from an address and no key (R-15, S-21)."""

from __future__ import annotations

import base64
import hashlib
import hmac
import pickle

import msgspec
import pytest

from polymarket.requests import HttpRequest, Signing
from polymarket.settings import PolymarketSettings, Secret
from polymarket.signing import AddressOnlySigner, RequestSigner, SigningError
from tests.unit.polymarket.script import SETTINGS

REQUEST = HttpRequest(label="x", url="http://clob/data/orders", signing=Signing(wallet="main", path="/data/orders"))


@pytest.mark.req("R-15")
def test_headers_are_the_hmac_of_time_method_and_path() -> None:
    headers = RequestSigner(SETTINGS).headers(REQUEST, 1_700_000_000_999)
    digest = hmac.new(b"secret", b"1700000000GET/data/orders", hashlib.sha256).digest()
    assert headers == {
        "POLY_ADDRESS": "0x00000000000000000000000000000000000000bb",
        "POLY_SIGNATURE": base64.urlsafe_b64encode(digest).decode(),
        "POLY_TIMESTAMP": "1700000000",
        "POLY_API_KEY": "key",
        "POLY_PASSPHRASE": "pass",
    }


@pytest.mark.req("R-15")
def test_a_later_request_has_another_signature() -> None:
    signer = RequestSigner(SETTINGS)
    assert signer.headers(REQUEST, 1_000) != signer.headers(REQUEST, 2_000)


def test_a_public_request_has_no_headers() -> None:
    assert RequestSigner(SETTINGS).headers(msgspec.structs.replace(REQUEST, signing=None), 1_000) == {}


@pytest.mark.req("S-21")
def test_the_signer_can_say_its_address_and_nothing_else() -> None:
    public = [name for name in dir(AddressOnlySigner) if not name.startswith("_")]
    assert public == ["address"]


@pytest.mark.parametrize("wallet", ["main", "other"])
def test_a_wallet_without_credentials_is_an_error_that_names_it(wallet: str) -> None:
    bare = msgspec.structs.replace(SETTINGS.wallets[0], credentials=None)
    signer = RequestSigner(PolymarketSettings(wallets=(bare,)))
    request = msgspec.structs.replace(REQUEST, signing=Signing(wallet=wallet, path="/data/orders"))
    with pytest.raises(SigningError, match=wallet):
        signer.headers(request, 1_000)


def test_a_secret_that_is_not_base64_is_an_error_that_does_not_show_it() -> None:
    wallet = SETTINGS.wallets[0]
    assert wallet.credentials is not None
    credentials = msgspec.structs.replace(wallet.credentials, secret=Secret("abcde"))
    settings = PolymarketSettings(wallets=(msgspec.structs.replace(wallet, credentials=credentials),))
    with pytest.raises(SigningError) as error:
        RequestSigner(settings).headers(REQUEST, 1_000)
    assert "abcde" not in str(error.value)


@pytest.mark.req("S-21")
def test_a_secret_shows_itself_in_no_text_and_cannot_be_serialised() -> None:
    secret = Secret("hunter2")
    assert "hunter2" not in f"{secret} {secret!r} {[secret]} {SETTINGS!r}"
    assert secret == Secret("hunter2")
    with pytest.raises(TypeError):
        pickle.dumps(secret)
    with pytest.raises(TypeError):
        msgspec.json.encode(SETTINGS)
    assert secret.reveal() == "hunter2"


def test_an_unknown_wallet_is_named_with_the_known_ones() -> None:
    with pytest.raises(KeyError, match=r"'second' is not configured; configured are: main"):
        SETTINGS.wallet("second")
