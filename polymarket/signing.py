"""Level 2 headers of the CLOB, made by the SDK's own functions. The only file that knows ``py_clob_client_v2`` (R-15).

Its header function wants a signer, of which it only asks the address; it gets one that has nothing else. There is no
private key anywhere in the process (S-21).
"""

from __future__ import annotations

from collections.abc import Mapping

from py_clob_client_v2.clob_types import ApiCreds, RequestArgs
from py_clob_client_v2.headers.headers import create_level_2_headers

from polymarket.requests import HttpRequest
from polymarket.settings import PolymarketSettings, WalletSettings

_MS_PER_S = 1000


class SigningError(Exception):
    """The wallet cannot be authenticated: no credentials, or a secret that is not base64."""


class AddressOnlySigner:
    """Stands where the SDK expects a holder of a private key, and holds none."""

    def __init__(self, address: str) -> None:
        self._address = address

    def address(self) -> str:
        """The address that the API key belongs to."""
        return self._address


class RequestSigner:
    """Makes the headers of a request at the moment it is sent: an old timestamp is refused by the CLOB."""

    def __init__(self, settings: PolymarketSettings) -> None:
        self._wallets = {wallet.name: wallet for wallet in settings.wallets}

    def headers(self, request: HttpRequest, now_ms: int) -> Mapping[str, str]:
        """Headers for a request that asks for signing, none for others. Raises :class:`SigningError`."""
        if request.signing is None:
            return {}
        wallet = self._wallets.get(request.signing.wallet)
        if wallet is None or wallet.credentials is None:
            raise SigningError(f"wallet {request.signing.wallet!r} has no API credentials; set its API_KEY variables")
        return _level_2(wallet, request.method, request.signing.path, now_ms // _MS_PER_S)


def _level_2(wallet: WalletSettings, method: str, path: str, now_s: int) -> Mapping[str, str]:
    credentials = wallet.credentials
    if credentials is None:
        raise SigningError(f"wallet {wallet.name!r} has no API credentials")
    creds = ApiCreds(
        api_key=credentials.key.reveal(),
        api_secret=credentials.secret.reveal(),
        api_passphrase=credentials.passphrase.reveal(),
    )
    try:
        headers: Mapping[str, str] = create_level_2_headers(
            AddressOnlySigner(wallet.signer_address),
            creds,
            RequestArgs(method=method, request_path=path),
            timestamp=now_s,
        )
    except ValueError:
        raise SigningError(f"the API secret of wallet {wallet.name!r} was not base64; copy it again") from None
    return headers
