"""Real architectures with random weights, saved where the real loading code finds them.

Each function writes one model below a models folder (``MOTIONKIT_MODELS``) as its own library
saves it, and returns the model's spec. The same seed gives the same weights.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

#: ViTPose's published sizes, and a tiny one for tests: width, layers, heads, and the width of an
#: expert in the plus models.
VITPOSE_SIZES: dict[str, tuple[int, int, int, int]] = {
    "tiny": (48, 2, 3, 12),
    "small": (384, 12, 12, 96),
    "base": (768, 12, 12, 192),
    "large": (1024, 24, 16, 256),
    "huge": (1280, 32, 16, 320),
}


def vitpose_config(size: str = "tiny", kind: str = "plain") -> Any:
    """transformers' configuration of a ViTPose. ``kind``: ``plain`` (two deconvolutions as
    head), ``simple`` (one convolution), ``plus`` (plain, and a mixture of six experts), or
    ``plus-simple``, which nobody published and which is fast."""
    from transformers import VitPoseBackboneConfig, VitPoseConfig

    width, layers, heads, part = VITPOSE_SIZES[size]
    backbone = VitPoseBackboneConfig(
        hidden_size=width,
        num_hidden_layers=layers,
        num_attention_heads=heads,
        num_experts=6 if "plus" in kind else 1,
        part_features=part if "plus" in kind else 0,
        out_indices=[layers],
    )
    return VitPoseConfig(
        backbone_config=backbone, use_simple_decoder="simple" in kind, num_labels=17
    )


def save_vitpose(
    models: Path, size: str = "tiny", kind: str = "plain", *, seed: int = 0, **processor: Any
) -> str:
    """A ViTPose in ``models``; returns ``vitpose:random/SIZE-KIND``. ``processor`` overrides
    settings of its image processor."""
    import torch
    from transformers import VitPoseForPoseEstimation

    from motionkit.backends.vitpose import processor_class

    spec = f"vitpose:random/{size}-{kind}"
    folder = models / "vitpose" / "random" / f"{size}-{kind}"
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = VitPoseForPoseEstimation(vitpose_config(size, kind)).eval()
        for module in model.modules():  # as after training: no batch norm is the identity
            if isinstance(module, torch.nn.BatchNorm2d):
                module.running_mean.normal_(0, 0.1)
                module.running_var.uniform_(0.05, 0.2)
        model.save_pretrained(folder)
    processor_class()(**processor).save_pretrained(folder)
    return spec


def _calm(network: Any) -> None:
    """As after training: every layer's output is of order one, and no two places look alike."""
    import torch

    for norm in [m for m in network.modules() if isinstance(m, torch.nn.BatchNorm2d)]:
        norm.weight.data.uniform_(0.8, 1.2)
        norm.momentum = None  # the plain mean over what is seen
        norm.reset_running_stats()
    pictures = [
        torch.rand(2, 3, 256 // size, 256 // size)
        .repeat_interleave(size, 2)
        .repeat_interleave(size, 3)
        for size in (2, 8, 32)
    ]
    with torch.no_grad():
        network.train()(torch.cat(pictures))
    network.eval()


def save_yolo_pose(
    models: Path, name: str = "yolo11n-pose", *, seed: int = 0, bias: float = 0
) -> str:
    """A YOLO pose model of one class, person, in ``models``; returns ``yolo:NAME``.

    Random weights see nobody: ``bias`` is added to what every place of the picture says of a person
    being there (3.5: some boxes that pass the usual 0.25).
    """
    import torch

    from motionkit.backends.ultralytics_import import import_ultralytics

    ultralytics = import_ultralytics("random YOLO weights")
    from ultralytics.nn.tasks import PoseModel

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = ultralytics.YOLO(f"{name}.yaml")
        network = PoseModel(f"{name}.yaml", nc=1, verbose=False)  # the file says 80 classes
        network.names, network.task, network.args = {0: "person"}, "pose", dict(model.overrides)
        _calm(network)
    for branch in network.model[-1].cv3:
        branch[-1].bias.data += bias
    model.model = network
    path = models / "yolo" / f"{name}.pt"
    path.parent.mkdir(parents=True, exist_ok=True)
    model.save(path)
    return f"yolo:{name}"


def save_mmpose(models: Path, config: str, *, seed: int = 0, layers: int | None = None) -> str:
    """A model of mmpose's own configuration ``config`` (its file name without .py), in its
    place with a checkpoint; returns ``mmpose:CONFIG``. ``layers`` makes a ViT shorter."""
    import mmpose
    import numpy as np
    import torch
    from mmengine.config import Config
    from mmpose.apis import init_model

    (path,) = Path(mmpose.__file__).parent.glob(f".mim/configs/**/{config}.py")
    folder = models / "mmpose" / config
    folder.mkdir(parents=True, exist_ok=True)
    settings = Config.fromfile(path)
    if layers is not None:
        settings.model.backbone.arch.num_layers = layers
    settings.dump(folder / f"{config}.py")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = init_model(str(folder / f"{config}.py"), None, "cpu")
    # Trained checkpoints hold numpy's arrays too.
    meta = {"dataset_meta": dict(model.dataset_meta), "epoch": np.int64(210)}
    state = {"meta": meta, "state_dict": model.state_dict()}
    torch.save(state, folder / f"{config}_random.pth")
    return f"mmpose:{config}"


def save_cotracker(models: Path, checkout: Path, *, seed: int = 0) -> None:
    """CoTracker3, offline and online, in ``models``, with the code of a ``checkout`` of
    facebookresearch/co-tracker: what ``motionkit models fetch cotracker3`` puts there."""
    import shutil

    import torch

    from motionkit.backends.cotracker_code import import_library

    folder = models / "cotracker3"
    shutil.copytree(
        checkout / "cotracker",
        folder / "code" / "cotracker",
        ignore=shutil.ignore_patterns("__pycache__"),
    )
    build = import_library(str(folder / "code")).build
    for model, window in (("offline", 60), ("online", 16)):
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            network = build(offline=model == "offline", window_len=window, v2=False)
            # New models hardly move a point, and all have one score. These move by several pixels,
            # and about half of the points are seen.
            network.updateformer.flow_head.weight.data.normal_(0, 0.01)
            network.updateformer.vis_conf_head.weight.data.normal_(0, 0.05)
            network.updateformer.vis_conf_head.bias.data.fill_(0.3)
        torch.save(network.state_dict(), folder / f"scaled_{model}.pth")


def save_clip(models: Path, name: str = "random/clip", *, seed: int = 0) -> str:
    """A small CLIP with its tokenizer (every byte a token) and picture processor; returns
    ``clip:NAME``."""
    import json

    import torch
    from transformers import CLIPConfig, CLIPModel, CLIPTokenizer

    folder = models / "clip" / name
    folder.mkdir(parents=True, exist_ok=True)
    printed = [*range(33, 127), *range(161, 173), *range(174, 256)]  # GPT-2's table of bytes
    others = [256 + i for i in range(256 - len(printed))]
    signs = [chr(code) for code in printed + others]
    words = [*signs, *(sign + "</w>" for sign in signs), "<|startoftext|>", "<|endoftext|>"]
    (folder / "vocab.json").write_text(json.dumps({word: i for i, word in enumerate(words)}))
    (folder / "merges.txt").write_text("#version: 0.2\n")
    tokenizer = CLIPTokenizer.from_pretrained(str(folder))
    ends = {"bos_token_id": len(words) - 2, "eos_token_id": len(words) - 1}
    width = {"hidden_size": 32, "intermediate_size": 64, "num_attention_heads": 2}
    config = CLIPConfig(
        text_config={
            **width, **ends, "vocab_size": len(words), "num_hidden_layers": 2,
            "pad_token_id": len(words) - 1,
        },
        vision_config={
            **width, "num_hidden_layers": 2, "image_size": 64, "patch_size": 16,
        },
        projection_dim=24,
    )  # fmt: skip
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = CLIPModel(config).eval()
        for parameter in model.parameters():  # so that every weight matters to the result
            parameter.data.add_(torch.randn_like(parameter), alpha=0.05)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    clip_processor()(
        size={"shortest_edge": 64}, crop_size={"height": 64, "width": 64}
    ).save_pretrained(folder)
    return f"clip:{name}"


def clip_processor() -> Any:
    """The picture processor that needs no torchvision, under either of its names."""
    import transformers

    return getattr(transformers, "CLIPImageProcessorPil", None) or transformers.CLIPImageProcessor


def save_yolo_seg(
    models: Path, name: str = "yolo11n-seg", *, seed: int = 0, bias: float = 0
) -> str:
    """A YOLO segmentation model of COCO's 80 classes in ``models``; returns ``yolo-seg:NAME``.

    ``bias`` is added to what every place of the picture says of a person being there.
    """
    import torch

    from motionkit.backends.ultralytics_import import import_ultralytics

    ultralytics = import_ultralytics("random YOLO weights")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = ultralytics.YOLO(f"{name}.yaml")
        network = model.model
        names = {0: "person", **{i: f"thing {i}" for i in range(1, 80)}}
        network.names, network.task, network.args = names, "segment", dict(model.overrides)
        _calm(network)
    for branch in network.model[-1].cv3:
        branch[-1].bias.data[0] += bias
    path = models / "yolo-seg" / f"{name}.pt"
    path.parent.mkdir(parents=True, exist_ok=True)
    model.save(path)
    return f"yolo-seg:{name}"


def save_sam2(
    models: Path, name: str = "random/sam2", *, seed: int = 0, side: int = 128, memory: int = 7
) -> str:
    """A small SAM 2 for video, with its processor, in ``models``; returns ``sam2:NAME``.

    ``side``: of the square that pictures are brought to (1024 in the published models).
    """
    import torch
    from transformers import (
        Sam2HieraDetConfig,
        Sam2ImageProcessor,
        Sam2VideoConfig,
        Sam2VideoModel,
        Sam2VideoProcessor,
        Sam2VideoVideoProcessor,
        Sam2VisionConfig,
    )

    sizes = [[side // 4] * 2, [side // 8] * 2, [side // 16] * 2]
    hiera = Sam2HieraDetConfig(
        hidden_size=16,
        num_attention_heads=1,
        image_size=[side, side],
        blocks_per_stage=[1, 1, 2, 1],
        embed_dim_per_stage=[16, 32, 64, 128],
        num_attention_heads_per_stage=[1, 2, 4, 8],
        window_size_per_stage=[4, 4, 4, 2],
        global_attention_blocks=[3],
        window_positional_embedding_background_size=[4, 4],
    )
    vision = Sam2VisionConfig(
        backbone_config=hiera,
        backbone_channel_list=[128, 64, 32, 16],
        backbone_feature_sizes=sizes,
        fpn_hidden_size=128,
    )
    config = Sam2VideoConfig(
        vision_config=vision,
        prompt_encoder_config={"hidden_size": 128, "image_size": side},
        mask_decoder_config={"hidden_size": 128, "mlp_dim": 64, "iou_head_hidden_dim": 32},
        image_size=side,
        num_maskmem=memory,
        memory_attention_hidden_size=128,
        memory_attention_num_layers=1,
        memory_attention_feed_forward_hidden_size=64,
        memory_attention_rope_feat_sizes=[side // 16] * 2,
        memory_encoder_hidden_size=128,
        memory_encoder_output_channels=64,
        mask_downsampler_embed_dim=128,
        memory_fuser_embed_dim=128,
        memory_fuser_intermediate_dim=64,
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = Sam2VideoModel(config).eval()
        for parameter in model.parameters():  # so that prompt and memory matter to the result
            parameter.data.add_(torch.randn_like(parameter), alpha=0.1)
    folder = models / "sam2" / name
    model.save_pretrained(folder)
    square = {"height": side, "width": side}
    mask = {"height": side // 4, "width": side // 4}
    Sam2VideoProcessor(
        image_processor=Sam2ImageProcessor(size=square, mask_size=mask),
        video_processor=Sam2VideoVideoProcessor(size=square),
    ).save_pretrained(folder)
    return f"sam2:{name}"
