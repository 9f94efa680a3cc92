"""Changes of model to messages and back."""

from __future__ import annotations

from sara_ros.core import PolicySpec
from sara_ros.core.swap import ModelIdentity, WantedModel
from sara_ros.core.swap_report import SwapReport
from sara_ros.nodes.ros_time import to_time
from sara_ros.policies.shadowed import Comparison
from sara_ros_msgs import msg
from sara_ros_msgs.srv import SwapModel


def encode_identity(identity: ModelIdentity) -> msg.ModelIdentity:
    """Return an identity as a message."""
    return msg.ModelIdentity(
        model_id=identity.model_id,
        attention_backend=identity.attention_backend,
        device=identity.device,
        runtime=identity.runtime if identity.model_id else '',
        weights_sha256=identity.weights_sha256,
    )


def decode_wanted(request: SwapModel.Request) -> WantedModel:
    """Return what a request asks for."""
    return WantedModel(
        model_id=request.model_id,
        attention_backend=request.attention_backend,
        device=request.device,
        runtime=request.runtime,
        shadow=request.shadow,
        weights_sha256=request.weights_sha256,
    )


def encode_report(report: SwapReport, now_ns: int) -> msg.SwapStatus:
    """Return where a change of model stands."""
    message = msg.SwapStatus(
        state=report.state.value,
        message=report.message,
        active=encode_identity(report.active),
        candidate=encode_identity(report.candidate),
        previous=encode_identity(report.previous),
        trial_chunks=report.trial_chunks,
        trial_window_chunks=report.window_chunks,
        trial_budget_ms=report.budget_sec * 1e3,
        swaps=report.counts.swaps,
        rollbacks=report.counts.rollbacks,
        refusals=report.counts.refusals,
    )
    message.header.stamp = to_time(now_ns)
    return message


def encode_comparison(
    comparison: Comparison, report: SwapReport, spec: PolicySpec, now_ns: int
) -> msg.ShadowSample:
    """Return how the serving model and its shadow answered one observation."""
    candidate = comparison.candidate
    message = msg.ShadowSample(
        observation_stamp=to_time(comparison.active.timing.stamp_ns),
        active=encode_identity(report.active),
        candidate=encode_identity(report.candidate),
        dimension_names=list(spec.action.names),
        dimension_units=[dimension.unit for dimension in spec.action.dimensions],
        active_action=comparison.active.values[0].tolist(),
        candidate_action=candidate.values[0].tolist() if candidate is not None else [],
        difference=comparison.difference().tolist(),
        difference_share=comparison.difference_share(spec.action),
        active_ms=comparison.active_ns * 1e-6,
        candidate_ms=comparison.candidate_ns * 1e-6,
        error=comparison.error,
        skipped=comparison.skipped,
    )
    message.header.stamp = to_time(now_ns)
    return message
