"""The Hugging Face hub: uploads, and what lies in its cache."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path

from ance_ir.errors import AnceError, UsageError

PREFIX = "hf:"
"""With which names of the hub begin where they could be something else."""

LOG_IN = "log in with `hf auth login`, or set HF_TOKEN to a token that may write (https://huggingface.co/settings/tokens)"


class HubError(AnceError):
    """The hub did not take an upload, or what came from it is damaged."""


def hub_cache() -> Path:
    """The folder in which downloads from the hub are kept."""
    from huggingface_hub import constants

    return Path(constants.HF_HUB_CACHE)


def check_blobs(snapshot: Path) -> None:
    """Check the large files of a repository in the hub's cache, which are named by their checksums.

    Args:
        snapshot: its folder; of another folder nothing is checked.

    Raises:
        HubError: a file is damaged.
    """
    for link in sorted(snapshot.rglob("*")):
        blob = link.resolve()
        if link.is_symlink() and re.fullmatch("[0-9a-f]{64}", blob.name):
            with blob.open("rb") as stream:
                found = hashlib.file_digest(stream, "sha256").hexdigest()
            if found != blob.name:
                raise HubError(f"{link}: the checksum {blob.name} was expected, found {found}: remove {blob}, and fetch it again")


def check_upload(name: str) -> None:
    """Refuse an upload that cannot begin, before work is spent on it.

    Raises:
        UsageError: it is no name on the hub.
        HubError: nobody is logged in.
    """
    from huggingface_hub import get_token

    if not re.fullmatch(r"[\w.-]+/[\w.-]+", name):
        raise UsageError(f"a name on the hub is ORGANISATION/NAME, not {name!r}")
    if get_token() is None:
        raise HubError(f"nobody is logged in to the hub: {LOG_IN}")


def upload(folder: Path, name: str, *, kind: str = "model", private: bool | None = None) -> str:
    """Upload a folder as a repository, which is made where it is not there yet; files of the same names are replaced.

    Args:
        folder: all of it.
        name: ``ORGANISATION/NAME``.
        kind: ``"model"`` or ``"dataset"``.
        private: whether a new repository is seen by its owners alone; by default as the organisation has it.

    Returns:
        The repository's address.

    Raises:
        UsageError: it is no name on the hub, or the hub finds the card's metadata invalid.
        HubError: nobody is logged in, the hub is not reached, or it refuses.
    """
    from huggingface_hub import HfApi, constants
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError

    check_upload(name)
    api = HfApi(library_name="ance_ir")
    try:
        made = api.create_repo(name, private=private, repo_type=kind, exist_ok=True)
        api.upload_folder(repo_id=made.repo_id, folder_path=folder, repo_type=kind, commit_message="Uploaded by ance_ir")
    except HfHubHTTPError as error:
        status = error.response.status_code
        remedy = LOG_IN if status in (401, 403) else "try again later" if status >= 500 else "see the hub's answer"
        answer = error.server_message or error.response.reason_phrase
        raise HubError(f"the hub refused the upload of {name} ({status}: {answer}): {remedy}") from error
    except HFValidationError as error:
        raise UsageError(str(error)) from error
    except ValueError as error:  # from the hub's check of README.md
        raise UsageError(f"the hub refused the card of {name}: {' '.join(str(error).split())}") from error
    except Exception as error:
        # errors of connections come from a package of which the hub's library has had several: requests, httpx, httpx2
        if not isinstance(error, ConnectionError) and not type(error).__module__.startswith(("httpx", "requests")):
            raise
        reason = f"the hub is not reached at {constants.ENDPOINT} ({type(error).__name__})"
        raise HubError(f"{reason}: run this where there is a network, or set HF_ENDPOINT") from error
    return str(made)
