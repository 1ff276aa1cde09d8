"""The messages that gg uses of the Remote Execution API 2.x and of the two APIs below it, each with its table of fields.

Numbers and meanings are those of `build/bazel/remote/execution/v2/remote_execution.proto`, `google/bytestream/bytestream.proto`,
`google/longrunning/operations.proto` and `google/rpc/status.proto`. Fields that gg neither writes nor reads are left out.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeVar

from gg.formats import protobuf
from gg.formats.protobuf import Field
from gg.light.named import NamedTuple

SHA256 = 1
IDENTITY, ZSTD = 0, 1
UNKNOWN, CACHE_CHECK, QUEUED, EXECUTING, COMPLETED = range(5)

T = TypeVar("T")


class Digest(NamedTuple):
    hash: str = ""
    size_bytes: int = 0


class Property(NamedTuple):
    name: str = ""
    value: str = ""


class Platform(NamedTuple):
    properties: tuple[Property, ...] = ()


class CommandMessage(NamedTuple):
    arguments: tuple[str, ...] = ()
    environment_variables: tuple[Property, ...] = ()
    output_files: tuple[str, ...] = ()
    output_directories: tuple[str, ...] = ()
    platform: Platform | None = None
    output_paths: tuple[str, ...] = ()


class ActionMessage(NamedTuple):
    command_digest: Digest | None = None
    input_root_digest: Digest | None = None
    platform: Platform | None = None


class FileNode(NamedTuple):
    name: str = ""
    digest: Digest | None = None
    is_executable: bool = False


class DirectoryNode(NamedTuple):
    name: str = ""
    digest: Digest | None = None


class SymlinkNode(NamedTuple):
    name: str = ""
    target: str = ""


class DirectoryMessage(NamedTuple):
    files: tuple[FileNode, ...] = ()
    directories: tuple[DirectoryNode, ...] = ()
    symlinks: tuple[SymlinkNode, ...] = ()


class Tree(NamedTuple):
    """Directories as they are encoded: their digests are those of these bytes."""

    root: bytes = b""
    children: tuple[bytes, ...] = ()


class OutputFile(NamedTuple):
    path: str = ""
    digest: Digest | None = None
    is_executable: bool = False
    contents: bytes = b""


class OutputDirectory(NamedTuple):
    path: str = ""
    tree_digest: Digest | None = None


class ActionResult(NamedTuple):
    output_files: tuple[OutputFile, ...] = ()
    output_directories: tuple[OutputDirectory, ...] = ()
    exit_code: int = 0
    stdout_raw: bytes = b""
    stdout_digest: Digest | None = None
    stderr_raw: bytes = b""
    stderr_digest: Digest | None = None


class Anything(NamedTuple):
    """`google.protobuf.Any`."""

    type_url: str = ""
    value: bytes = b""


class Status(NamedTuple):
    code: int = 0
    message: str = ""
    details: tuple[Anything, ...] = ()


class Violation(NamedTuple):
    type: str = ""
    subject: str = ""
    description: str = ""


class PreconditionFailure(NamedTuple):
    violations: tuple[Violation, ...] = ()


class ExecutionPolicy(NamedTuple):
    priority: int = 0


class ExecuteRequest(NamedTuple):
    instance_name: str = ""
    skip_cache_lookup: bool = False
    action_digest: Digest | None = None
    execution_policy: ExecutionPolicy | None = None


class WaitExecutionRequest(NamedTuple):
    name: str = ""


class ExecuteResponse(NamedTuple):
    result: ActionResult | None = None
    cached_result: bool = False
    status: Status | None = None
    message: str = ""


class ExecuteOperationMetadata(NamedTuple):
    stage: int = 0


class Operation(NamedTuple):
    name: str = ""
    metadata: Anything | None = None
    done: bool = False
    error: Status | None = None
    response: Anything | None = None


class CancelOperationRequest(NamedTuple):
    name: str = ""


class GetActionResultRequest(NamedTuple):
    instance_name: str = ""
    action_digest: Digest | None = None


class FindMissingBlobsRequest(NamedTuple):
    instance_name: str = ""
    blob_digests: tuple[Digest, ...] = ()


class FindMissingBlobsResponse(NamedTuple):
    missing_blob_digests: tuple[Digest, ...] = ()


class BlobToUpdate(NamedTuple):
    digest: Digest | None = None
    data: bytes = b""
    compressor: int = IDENTITY


class BatchUpdateBlobsRequest(NamedTuple):
    instance_name: str = ""
    requests: tuple[BlobToUpdate, ...] = ()


class UpdatedBlob(NamedTuple):
    digest: Digest | None = None
    status: Status | None = None


class BatchUpdateBlobsResponse(NamedTuple):
    responses: tuple[UpdatedBlob, ...] = ()


class BatchReadBlobsRequest(NamedTuple):
    instance_name: str = ""
    digests: tuple[Digest, ...] = ()
    acceptable_compressors: tuple[int, ...] = ()


class BlobRead(NamedTuple):
    digest: Digest | None = None
    data: bytes = b""
    status: Status | None = None
    compressor: int = IDENTITY


class BatchReadBlobsResponse(NamedTuple):
    responses: tuple[BlobRead, ...] = ()


class GetCapabilitiesRequest(NamedTuple):
    instance_name: str = ""


class SemVer(NamedTuple):
    major: int = 0
    minor: int = 0


class CacheCapabilities(NamedTuple):
    digest_functions: tuple[int, ...] = ()
    max_batch_total_size_bytes: int = 0
    supported_compressors: tuple[int, ...] = ()
    supported_batch_update_compressors: tuple[int, ...] = ()


class ExecutionCapabilities(NamedTuple):
    digest_function: int = 0
    exec_enabled: bool = False
    digest_functions: tuple[int, ...] = ()


class ServerCapabilities(NamedTuple):
    cache_capabilities: CacheCapabilities | None = None
    execution_capabilities: ExecutionCapabilities | None = None
    low_api_version: SemVer | None = None
    high_api_version: SemVer | None = None


class ReadRequest(NamedTuple):
    resource_name: str = ""
    read_offset: int = 0


class ReadResponse(NamedTuple):
    data: bytes = b""


class WriteRequest(NamedTuple):
    resource_name: str = ""
    write_offset: int = 0
    finish_write: bool = False
    data: bytes = b""


class WriteResponse(NamedTuple):
    committed_size: int = 0


class ToolDetails(NamedTuple):
    tool_name: str = ""
    tool_version: str = ""


class RequestMetadata(NamedTuple):
    tool_details: ToolDetails | None = None
    tool_invocation_id: str = ""


TABLES: Mapping[type, tuple[Field, ...]] = {
    Digest: (Field(1, str), Field(2, int)),
    Property: (Field(1, str), Field(2, str)),
    Platform: (Field(1, Property, many=True),),
    CommandMessage: (
        Field(1, str, many=True),
        Field(2, Property, many=True),
        Field(3, str, many=True),
        Field(4, str, many=True),
        Field(5, Platform),
        Field(7, str, many=True),
    ),
    ActionMessage: (Field(1, Digest), Field(2, Digest), Field(10, Platform)),
    FileNode: (Field(1, str), Field(2, Digest), Field(4, int)),
    DirectoryNode: (Field(1, str), Field(2, Digest)),
    SymlinkNode: (Field(1, str), Field(2, str)),
    DirectoryMessage: (
        Field(1, FileNode, many=True),
        Field(2, DirectoryNode, many=True),
        Field(3, SymlinkNode, many=True),
    ),
    Tree: (Field(1, bytes), Field(2, bytes, many=True)),
    OutputFile: (Field(1, str), Field(2, Digest), Field(4, int), Field(5, bytes)),
    OutputDirectory: (Field(1, str), Field(3, Digest)),
    ActionResult: (
        Field(2, OutputFile, many=True),
        Field(3, OutputDirectory, many=True),
        Field(4, int),
        Field(5, bytes),
        Field(6, Digest),
        Field(7, bytes),
        Field(8, Digest),
    ),
    Anything: (Field(1, str), Field(2, bytes)),
    Status: (Field(1, int), Field(2, str), Field(3, Anything, many=True)),
    Violation: (Field(1, str), Field(2, str), Field(3, str)),
    PreconditionFailure: (Field(1, Violation, many=True),),
    ExecutionPolicy: (Field(1, int),),
    ExecuteRequest: (Field(1, str), Field(3, int), Field(6, Digest), Field(7, ExecutionPolicy)),
    WaitExecutionRequest: (Field(1, str),),
    ExecuteResponse: (Field(1, ActionResult), Field(2, int), Field(3, Status), Field(5, str)),
    ExecuteOperationMetadata: (Field(1, int),),
    Operation: (Field(1, str), Field(2, Anything), Field(3, int), Field(4, Status), Field(5, Anything)),
    CancelOperationRequest: (Field(1, str),),
    GetActionResultRequest: (Field(1, str), Field(2, Digest)),
    FindMissingBlobsRequest: (Field(1, str), Field(2, Digest, many=True)),
    FindMissingBlobsResponse: (Field(2, Digest, many=True),),
    BlobToUpdate: (Field(1, Digest), Field(2, bytes), Field(3, int)),
    BatchUpdateBlobsRequest: (Field(1, str), Field(2, BlobToUpdate, many=True)),
    UpdatedBlob: (Field(1, Digest), Field(2, Status)),
    BatchUpdateBlobsResponse: (Field(1, UpdatedBlob, many=True),),
    BatchReadBlobsRequest: (Field(1, str), Field(2, Digest, many=True), Field(3, int, many=True)),
    BlobRead: (Field(1, Digest), Field(2, bytes), Field(3, Status), Field(4, int)),
    BatchReadBlobsResponse: (Field(1, BlobRead, many=True),),
    GetCapabilitiesRequest: (Field(1, str),),
    SemVer: (Field(1, int), Field(2, int)),
    CacheCapabilities: (
        Field(1, int, many=True),
        Field(4, int),
        Field(6, int, many=True),
        Field(7, int, many=True),
    ),
    ExecutionCapabilities: (Field(1, int), Field(2, int), Field(5, int, many=True)),
    ServerCapabilities: (
        Field(1, CacheCapabilities),
        Field(2, ExecutionCapabilities),
        Field(4, SemVer),
        Field(5, SemVer),
    ),
    ReadRequest: (Field(1, str), Field(2, int)),
    ReadResponse: (Field(10, bytes),),
    WriteRequest: (Field(1, str), Field(2, int), Field(3, int), Field(10, bytes)),
    WriteResponse: (Field(1, int),),
    ToolDetails: (Field(1, str), Field(2, str)),
    RequestMetadata: (Field(1, ToolDetails), Field(3, str)),
}
"""The fields of each message, in the order of its class."""


def encode(message: object) -> bytes:
    """The bytes of a message. UnicodeEncodeError for text that has no UTF-8."""
    return protobuf.encode(message, TABLES)


def decode(kind: type[T], data: bytes) -> T:
    """The message of this class. FormatError."""
    return protobuf.decode(kind, data, TABLES)
