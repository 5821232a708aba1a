#!/usr/bin/env python3
"""Compares proto/ with the published OTLP descriptors, both ways, and the views with the full schema.

Needs protoc on the path and, in the running Python, the PyPI packages opentelemetry-proto and
googleapis-common-protos. Exits 1 and prints every difference when there is one."""
import importlib
import subprocess
import sys
import tempfile
from pathlib import Path

import opentelemetry.proto
from google.protobuf import descriptor_pb2, text_format
from google.protobuf.descriptor_pb2 import FieldDescriptorProto as Field

PROTO = Path(__file__).resolve().parents[2] / "proto"

PUBLISHED_MODULES = (
    "opentelemetry.proto.common.v1.common_pb2",
    "opentelemetry.proto.resource.v1.resource_pb2",
    "opentelemetry.proto.trace.v1.trace_pb2",
    "opentelemetry.proto.metrics.v1.metrics_pb2",
    "opentelemetry.proto.logs.v1.logs_pb2",
    "opentelemetry.proto.collector.trace.v1.trace_service_pb2",
    "opentelemetry.proto.collector.metrics.v1.metrics_service_pb2",
    "opentelemetry.proto.collector.logs.v1.logs_service_pb2",
    "google.rpc.status_pb2",
    "google.rpc.error_details_pb2",
    "google.protobuf.any_pb2",
    "google.protobuf.duration_pb2",
    "grpc_health.v1.health_pb2",
    "grpc_reflection.v1alpha.reflection_pb2",
)

# Published files that proto/ leaves out on purpose: profiles are in development and pass through unread.
OMITTED_MODULES = (
    "opentelemetry.proto.profiles.v1development.profiles_pb2",
    "opentelemetry.proto.collector.profiles.v1development.profiles_service_pb2",
)

# Published, but not in proto/ on purpose. A message name stands for everything in it.
NOT_OURS = {
    "google.rpc.BadRequest.FieldViolation.reason",
    "google.rpc.BadRequest.FieldViolation.localized_message",
    *("google.rpc." + name for name in (
        "DebugInfo", "ErrorInfo", "Help", "LocalizedMessage", "PreconditionFailure", "QuotaFailure", "RequestInfo",
        "ResourceInfo")),
    # A later addition, which no client needs.
    *("grpc.health.v1." + name for name in ("Health/List", "HealthListRequest", "HealthListResponse")),
}

COMMON, TRACE = "opentelemetry.proto.common.v1.", "opentelemetry.proto.trace.v1."
METRICS, LOGS = "opentelemetry.proto.metrics.v1.", "opentelemetry.proto.logs.v1."
COLLECTOR = "opentelemetry.proto.collector."

# View message: the full messages it stands for, with the names of fields that differ between those.
VIEWS = {
    "RequestView": [COLLECTOR + "trace.v1.ExportTraceServiceRequest",
                    COLLECTOR + "metrics.v1.ExportMetricsServiceRequest",
                    COLLECTOR + "logs.v1.ExportLogsServiceRequest"],
    "ResourceGroupView": [TRACE + "ResourceSpans", METRICS + "ResourceMetrics", LOGS + "ResourceLogs"],
    "ScopeGroupView": [TRACE + "ScopeSpans", METRICS + "ScopeMetrics", LOGS + "ScopeLogs"],
    "ResourceView": ["opentelemetry.proto.resource.v1.Resource"],
    "ScopeView": [COMMON + "InstrumentationScope"],
    "AnyValueView": [COMMON + "AnyValue"],
    "ArrayValueView": [COMMON + "ArrayValue"],
    "KeyValueListView": [COMMON + "KeyValueList"],
    "KeyValueView": [COMMON + "KeyValue"],
    "SpanView": [TRACE + "Span"],
    "EventView": [TRACE + "Span.Event"],
    "LinkView": [TRACE + "Span.Link"],
    "StatusView": [TRACE + "Status"],
    "LogRecordView": [LOGS + "LogRecord"],
    "MetricView": [METRICS + "Metric"],
    "MetricDataView": [METRICS + name for name in ("Gauge", "Sum", "Histogram", "ExponentialHistogram", "Summary")],
    "NumberDataPointView": [METRICS + "NumberDataPoint"],
    "HistogramDataPointView": [METRICS + "HistogramDataPoint"],
    "ExponentialHistogramDataPointView": [METRICS + "ExponentialHistogramDataPoint"],
    "BucketsView": [METRICS + "ExponentialHistogramDataPoint.Buckets"],
    "SummaryDataPointView": [METRICS + "SummaryDataPoint"],
    "ValueAtQuantileView": [METRICS + "SummaryDataPoint.ValueAtQuantile"],
    "ExemplarView": [METRICS + "Exemplar"],
}
GENERIC_NAMES = {"resource_groups", "scope_groups", "items"}
# Full fields that a view leaves out: it then keeps them as unknown fields.
NOT_IN_VIEW = {COMMON + "KeyValue.key_strindex"}

SAME_WIRE = {  # full type -> the view types with the same wire form
    Field.TYPE_STRING: {Field.TYPE_BYTES},
    Field.TYPE_MESSAGE: {Field.TYPE_BYTES},
    Field.TYPE_ENUM: {Field.TYPE_INT32},
}


def own_schema():
    """Every .proto of ours, as a FileDescriptorSet."""
    with tempfile.NamedTemporaryFile() as out:
        files = sorted(str(path.relative_to(PROTO)) for path in PROTO.rglob("*.proto"))
        subprocess.run(["protoc", f"--proto_path={PROTO}", f"--descriptor_set_out={out.name}", *files], check=True)
        return descriptor_pb2.FileDescriptorSet.FromString(out.read()).file


def published_schema():
    for name in PUBLISHED_MODULES:
        file = descriptor_pb2.FileDescriptorProto()
        importlib.import_module(name).DESCRIPTOR.CopyToProto(file)
        # The packages of gRPC's own services put their files in folders of other names.
        file.name = file.name.replace("grpc_", "grpc/", 1)
        yield file
        if "v1alpha" in file.package:
            # v1 is v1alpha under another name, and not published as a package of its own.
            text = text_format.MessageToString(file).replace("v1alpha", "v1")
            yield text_format.Parse(text, descriptor_pb2.FileDescriptorProto())


class Catalogue:
    """All messages, fields, enum values and methods of some files by full name."""

    def __init__(self, files):
        self.entries = {}
        self.messages = {}
        self.paths = {}
        for file in files:
            self.paths[file.name] = file.package
            for message in file.message_type:
                self.add_message(file.package, message)
            for enum in file.enum_type:
                self.add_enum(file.package, enum)
            for service in file.service:
                for method in service.method:
                    self.entries[f"{file.package}.{service.name}/{method.name}"] = (
                        method.input_type, method.output_type, method.client_streaming, method.server_streaming)

    def add_message(self, scope, message):
        name = f"{scope}.{message.name}"
        self.messages[name] = message
        self.entries[name] = "message"
        for field in message.field:
            self.entries[f"{name}.{field.name}"] = self.describe(message, field)
        for nested in message.nested_type:
            self.add_message(name, nested)
        for enum in message.enum_type:
            self.add_enum(name, enum)

    def add_enum(self, scope, enum):
        for value in enum.value:
            self.entries[f"{scope}.{enum.name}/{value.name}"] = value.number

    @staticmethod
    def describe(message, field):
        oneof = message.oneof_decl[field.oneof_index].name if field.HasField("oneof_index") else None
        return (field.number, Field.Type.Name(field.type), Field.Label.Name(field.label), field.type_name,
                field.proto3_optional, oneof)


def compare_with_published(own, published):
    ours = {name: value for name, value in own.entries.items() if not name.startswith("martlet.")}
    for name in sorted(ours.keys() | published.entries.keys()):
        mine, theirs = ours.get(name), published.entries.get(name)
        if mine is None:
            if not any(name == left_out or name.startswith((left_out + ".", left_out + "/")) for left_out in NOT_OURS):
                yield f"{name}: published, but missing in proto/"
        elif theirs is None:
            yield f"{name}: in proto/, but not published"
        elif mine != theirs:
            yield f"{name}: {mine} in proto/, published {theirs}"
    for left_out in sorted(NOT_OURS):
        if left_out in ours:
            yield f"{left_out}: listed as left out, but in proto/"


def compare_modules():
    """Every published OTLP file is either compared or listed as omitted."""
    found = {"opentelemetry.proto." + ".".join(path.relative_to(root).with_suffix("").parts)
             for root in opentelemetry.proto.__path__ for path in Path(root).rglob("*_pb2.py")}
    listed = {name for name in (*PUBLISHED_MODULES, *OMITTED_MODULES) if name.startswith("opentelemetry.")}
    for name in sorted(found ^ listed):
        yield f"{name}: {'published, but neither compared nor omitted' if name in found else 'listed, but not published'}"


def compare_paths(own, published):
    for path, package in published.paths.items():
        if own.paths.get(path) != package:
            yield f"{path}: package {own.paths.get(path)}, published {package}"


def compare_view(own, view_name, full_name, other_fields):
    view, full = own.messages["martlet.view." + view_name], own.messages[full_name]
    by_number = {field.number: field for field in full.field}
    seen = set()
    for field in view.field:
        where = f"{view_name}.{field.name}"
        counterpart = by_number.get(field.number)
        if counterpart is None:
            if field.number not in other_fields:
                yield f"{where}: {full_name} has no field {field.number}"
            continue
        seen.add(field.number)
        if field.name != counterpart.name and field.name not in GENERIC_NAMES:
            yield f"{where}: number {field.number} is {counterpart.name} in {full_name}"
        if field.label != counterpart.label:
            yield f"{where}: label differs from {full_name}"
        if field.type not in SAME_WIRE.get(counterpart.type, {counterpart.type}):
            yield f"{where}: type {Field.Type.Name(field.type)} for {Field.Type.Name(counterpart.type)}"
        if field.HasField("oneof_index") != counterpart.HasField("oneof_index"):
            yield f"{where}: presence differs from {full_name}"
    for number in by_number.keys() - seen:
        if f"{full_name}.{by_number[number].name}" not in NOT_IN_VIEW:
            yield f"{view_name}: lacks {by_number[number].name} of {full_name}"


def compare_views(own):
    views = {name.removeprefix("martlet.view.") for name in own.messages if name.startswith("martlet.view.")}
    for name in sorted(views ^ VIEWS.keys()):
        yield f"{name}: the list of views and proto/martlet/view differ"
    for name in sorted(views & VIEWS.keys()):
        # A view of several messages may hold a field that only some of them have.
        numbers = {field.number for full in VIEWS[name] for field in own.messages[full].field}
        for full in VIEWS[name]:
            yield from compare_view(own, name, full, numbers)


def main():
    own, published = Catalogue(own_schema()), Catalogue(published_schema())
    differences = [*compare_modules(), *compare_with_published(own, published), *compare_paths(own, published),
                   *compare_views(own)]
    for difference in differences:
        print(difference)
    compared = sum(1 for name in own.entries if name in published.entries)
    print(f"{compared} published entries and {len(VIEWS)} views compared, {len(differences)} differences")
    return 1 if differences or compared < 200 else 0


if __name__ == "__main__":
    sys.exit(main())
