"""The paths and field names of Ozonetel's API, for each way to call it.

Marks: [S] the vendor's page of the update, [V] another page, [I] inferred.
"""

from dataclasses import dataclass


@dataclass(slots=True, frozen=True)
class Api:
    """The paths of the calls, and the field names on which the vendor's pages disagree."""

    create_path: str
    update_path: str
    delete_path: str
    token_path: str = "/ca_apis/CAToken/generateToken"  # noqa: S105
    # The field of the body that names the group
    update_group_field: str = "groupName"
    delete_group_field: str = "groupName"  # [I]: the page's table has none, its answers speak of an "Id" [V]
    numbers_field: str = "blockNumbers"  # also seen as blockNumber [V]


_LEGACY_PATH = "/CAServicesV3/blockNumberGroupV2.php"
LEGACY = Api(
    _LEGACY_PATH, _LEGACY_PATH, _LEGACY_PATH, update_group_field="Id", delete_group_field="id"
)  # [S], [V]
CURRENT = Api(
    "/ca_apis/createBlockNumber",
    "/ca_apis/updateBlockNumbers",  # [V]; in the singular elsewhere
    "/ca_apis/deleteBlockNumber",
)
