"""What `amber export RUN` does: each form of a run that is asked for."""

from __future__ import annotations

from pathlib import Path

from amber_heads.exports.hub import HubReport, export_hub
from amber_heads.exports.onnx_file import OnnxReport, export_onnx


def export_run(
    folder: Path, *, onnx: Path | None, hub: Path | None, overwrite: bool = False
) -> dict[str, OnnxReport | HubReport]:
    """Write a run's models as ONNX, as a folder for a model hub, or both; reports by form.

    Raises:
        RunError: As `export_onnx` and `export_hub`.
    """
    reports: dict[str, OnnxReport | HubReport] = {}
    if onnx is not None:
        reports["onnx"] = export_onnx(folder, onnx, overwrite=overwrite)
    if hub is not None:
        reports["hub"] = export_hub(folder, hub, overwrite=overwrite)
    return reports
