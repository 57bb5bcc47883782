"""What the hub's audio and text encoders share: loading a checkpoint and running it.

A .bin is read with weights_only, so that a pickle can run no code; weights that a checkpoint lacks
are an error, never random numbers. transformers is imported only when a model is loaded.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from amber_cache.encoders.base import EncoderInfo
from amber_cache.encoders.hf_files import Checkpoint, one_line, quiet, sha256
from amber_cache.errors import EncoderError

#: What a model can be run in; "tf32" is float32 weights with TF32 matrix products, on CUDA only.
PRECISIONS: dict[str, torch.dtype] = {
    "float32": torch.float32,
    "tf32": torch.float32,
    "bfloat16": torch.bfloat16,
    "float16": torch.float16,
}

#: Parameters that no hidden state of a model in evaluation mode depends on.
_HARMLESS = re.compile(r"(^|\.)(masked_spec_embed|pooler\..+|position_ids|token_type_ids)$")


def load_model(checkpoint: Checkpoint, *, device: str, precision: str) -> Any:
    """Load a model for inference: evaluation mode, no gradients, on its device.

    Raises:
        EncoderError: The weights can't be read, or do not fill the model.
    """
    from transformers import AutoModel

    check_device(device, precision=precision)
    with quiet():
        try:
            model, report = AutoModel.from_pretrained(
                checkpoint.folder,
                use_safetensors=checkpoint.weights[0].suffix == ".safetensors",
                weights_only=True,
                trust_remote_code=False,
                local_files_only=True,
                output_loading_info=True,
                dtype=torch.float32,
            )
        except Exception as error:  # from_pretrained lets through what a dozen readers raise
            raise EncoderError(
                f"encoder {checkpoint.encoder}: {checkpoint.weights[0].name} can't be loaded: "
                f"{one_line(error)}; use a safetensors or plain .bin file of this model"
            ) from error
    missing = sorted(key for key in report["missing_keys"] if not _HARMLESS.search(key))
    if missing:
        raise EncoderError(
            f"encoder {checkpoint.encoder}: the checkpoint lacks {len(missing)} weights that the "
            f"model needs ({', '.join(missing[:3])}, ...); get a complete checkpoint"
        )
    return model.to(device, PRECISIONS[precision]).eval().requires_grad_(False)


def describe(checkpoint: Checkpoint, model: Any, *, modality: str, rate_hz: int = 0) -> EncoderInfo:
    """What a loaded model is, as a cache records it."""
    import transformers

    return EncoderInfo(
        encoder=checkpoint.encoder,
        modality=modality,
        dimension=int(model.config.hidden_size),
        revision=checkpoint.revision,
        weights_sha256=sha256(checkpoint.weights),
        num_layers=int(model.config.num_hidden_layers),
        sampling_rate_hz=rate_hz,
        libraries={"torch": torch.__version__, "transformers": transformers.__version__},
    )


def hidden_states(
    model: Any, inputs: dict[str, Tensor], *, layers: Sequence[int], info: EncoderInfo
) -> Float[Tensor, "layer batch time feature"]:
    """Run a model and keep the layers asked for, in their order.

    The last layer is always `last_hidden_state`: with do_stable_layer_norm, transformers 5 puts
    the states *before* the final layer norm at the end of `hidden_states`.

    Raises:
        EncoderError: A layer does not exist.
    """
    last = info.num_layers
    check_layers(layers, info=info)
    inner = any(layer not in (-1, last) for layer in layers)
    output = model(**inputs, output_hidden_states=inner)
    if inner and len(output.hidden_states) != last + 1:
        raise EncoderError(
            f"encoder {info.encoder}: gave {len(output.hidden_states)} hidden states, expected "
            f"{last + 1}; only --layer -1 can be used with it"
        )
    return torch.stack(
        [
            output.last_hidden_state if layer in (-1, last) else output.hidden_states[layer]
            for layer in layers
        ]
    )


def check_layers(layers: Sequence[int], *, info: EncoderInfo) -> None:
    """Refuse a layer that an encoder does not have: -1 and 0 to num_layers exist.

    Raises:
        EncoderError: A layer does not exist.
    """
    for layer in layers:
        if not -1 <= layer <= info.num_layers:
            raise EncoderError(
                f"encoder {info.encoder}: layer {layer} does not exist; it has 0 (the input "
                f"embedding) to {info.num_layers}, and -1 for the last"
            )


def check_device(device: str, *, precision: str) -> None:
    """Refuse a device that is not there, and a precision that it does not have.

    Raises:
        EncoderError: One of the two can't be had.
    """
    if precision not in PRECISIONS:
        raise EncoderError(f"precision {precision!r} does not exist; use {', '.join(PRECISIONS)}")
    if device == "cpu":
        if precision == "tf32":
            raise EncoderError("precision tf32 needs a CUDA device, got cpu; use float32 there")
        return
    if not re.fullmatch(r"cuda(:\d+)?", device):
        raise EncoderError(f"device {device!r} is not supported; use cpu, cuda or cuda:N")
    num_devices = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if int(device.partition(":")[2] or 0) >= num_devices:
        raise EncoderError(
            f"device {device} is not there: this machine has {num_devices} usable CUDA devices; "
            "leave --gpu and --device out to run on the CPU"
        )


def staging(*shape: int, fill: int = 0, dtype: torch.dtype, device: str) -> Tensor:
    """A tensor in this machine's memory to fill a batch into: pinned where it goes to CUDA."""
    return torch.full(shape, fill, dtype=dtype, pin_memory=device.startswith("cuda"))


def moved(batch: Tensor, device: str) -> Tensor:
    """A batch on its device; from pinned memory nobody waits for the copy."""
    return batch.to(device, non_blocking=batch.is_pinned()) if device != "cpu" else batch


@contextmanager
def inference(precision: str) -> Iterator[None]:
    """No gradients, and TF32 on CUDA just where the precision asks for it.

    PyTorch's own default lets cuDNN's convolutions use TF32, which costs float32 its last 13 bits.
    """
    backends: Any = torch.backends
    value: object
    if hasattr(backends.cuda.matmul, "fp32_precision"):
        switch, value = "fp32_precision", "tf32" if precision == "tf32" else "ieee"
        # conv and rnn together: apart, PyTorch's older switch can't be read any more.
        owners = [backends.cuda.matmul, backends.cudnn.conv, backends.cudnn.rnn]
    else:  # before PyTorch 2.9
        switch, value = "allow_tf32", precision == "tf32"
        owners = [backends.cuda.matmul, backends.cudnn]
    before = [getattr(owner, switch) for owner in owners]
    try:
        for owner in owners:
            setattr(owner, switch, value)
        with torch.inference_mode():
            yield
    finally:
        for owner, old in zip(owners, before, strict=True):
            setattr(owner, switch, old)
