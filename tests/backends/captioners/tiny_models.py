"""Real image-text-to-text architectures of a few thousand random weights, as `save_pretrained`
writes them: no download, but the library's own loading, processing and generating."""

from __future__ import annotations

from pathlib import Path
from typing import Any

SPEC = "transformers:tests/tiny-llava"
QWEN_SPEC = "transformers:tests/tiny-qwen"
_TEMPLATE = (
    "{% for m in messages %}{{ m['role'] }}: {% for c in m['content'] %}"
    "{% if c['type'] == 'image' %}<image>{% else %}{{ c['text'] }}{% endif %}{% endfor %}"
    "{{ '\n' }}{% endfor %}{% if add_generation_prompt %}assistant:{% endif %}"
)


def save_llava(folder: Path, *, template: bool = True) -> Path:
    """A LLaVA: CLIP vision (28 px, patches of 14), LLaMA, a tokenizer of bytes."""
    import torch
    from transformers import CLIPVisionConfig, LlamaConfig, LlavaConfig
    from transformers import LlavaForConditionalGeneration as Llava

    tokenizer = byte_tokenizer(["<image>"])
    vision = CLIPVisionConfig(
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=2,
        image_size=28,
        patch_size=14,
        projection_dim=32,
    )
    text = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=2,
        num_key_value_heads=2,
        bos_token_id=1,
        eos_token_id=2,
        pad_token_id=3,
    )
    torch.manual_seed(0)
    config = LlavaConfig(
        vision_config=vision.to_dict(),
        text_config=text.to_dict(),
        image_token_index=tokenizer.convert_tokens_to_ids("<image>"),
        vision_feature_layer=-1,
    )
    model = Llava(config)
    _save(model, folder)
    llava_processor(tokenizer, _TEMPLATE if template else None).save_pretrained(folder)
    return folder


def save_qwen(folder: Path) -> Path:
    """A Qwen2.5-VL, whose pictures keep their shape. Its processor needs torchvision."""
    import torch
    import transformers

    marks = ["<|vision_start|>", "<|vision_end|>", "<|image_pad|>", "<|video_pad|>"]
    tokenizer = byte_tokenizer(marks)
    start, end, image, video = tokenizer.convert_tokens_to_ids(marks)
    same = {"hidden_size": 32, "intermediate_size": 64}
    config = transformers.Qwen2_5_VLConfig(
        text_config={
            **same,
            "vocab_size": len(tokenizer),
            "num_hidden_layers": 2,
            "num_attention_heads": 2,
            "num_key_value_heads": 2,
            "bos_token_id": 1,
            "eos_token_id": 2,
            "pad_token_id": 3,
            "rope_scaling": {"rope_type": "default", "mrope_section": [2, 3, 3]},
        },
        vision_config={
            **same,
            "depth": 2,
            "num_heads": 2,
            "out_hidden_size": 32,
            "window_size": 56,
            "fullatt_block_indexes": [1],
        },
        image_token_id=image,
        video_token_id=video,
        vision_start_token_id=start,
        vision_end_token_id=end,
    )
    torch.manual_seed(0)
    _save(transformers.Qwen2_5_VLForConditionalGeneration(config), folder)
    mark = "<|vision_start|><|image_pad|><|vision_end|>"
    transformers.Qwen2_5_VLProcessor(
        image_processor=transformers.Qwen2VLImageProcessor(
            size={"shortest_edge": 56 * 56, "longest_edge": 112 * 112}
        ),
        tokenizer=tokenizer,
        video_processor=transformers.Qwen2VLVideoProcessor(),
        chat_template=_TEMPLATE.replace("<image>", mark),
    ).save_pretrained(folder)
    return folder


def _save(model: Any, folder: Path) -> None:
    """With weights of a wide spread, so that pictures and words matter to what it writes."""
    import torch

    with torch.no_grad():
        for weight in model.parameters():
            if weight.ndim > 1:
                weight.normal_(0, 0.35)
    model.generation_config.eos_token_id = 2
    model.generation_config.pad_token_id = 3
    model.save_pretrained(folder)


def llava_processor(tokenizer: Any, template: str | None) -> Any:
    import transformers

    # The image processor that needs no torchvision has another name since transformers 5.
    images = getattr(transformers, "CLIPImageProcessorPil", None) or transformers.CLIPImageProcessor
    return transformers.LlavaProcessor(
        image_processor=images(size={"shortest_edge": 28}, crop_size={"height": 28, "width": 28}),
        tokenizer=tokenizer,
        patch_size=14,
        vision_feature_select_strategy="default",
        num_additional_image_tokens=1,
        image_token="<image>",
        chat_template=template,
    )


def byte_tokenizer(special: list[str]) -> Any:
    """Every byte is a token, after <unk> <s> </s> <pad> and the special ones."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    words = ["<unk>", "<s>", "</s>", "<pad>", *special]
    words += sorted(pre_tokenizers.ByteLevel.alphabet())
    vocabulary = {word: index for index, word in enumerate(words)}
    raw = Tokenizer(models.BPE(vocab=vocabulary, merges=[], unk_token="<unk>"))
    raw.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    raw.decoder = decoders.ByteLevel()
    return PreTrainedTokenizerFast(
        tokenizer_object=raw,
        bos_token="<s>",
        eos_token="</s>",
        unk_token="<unk>",
        pad_token="<pad>",
        additional_special_tokens=special,
    )
