import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("safetensors")

from motionkit.models.k2m.precision import in_full  # noqa: E402
from motionkit.models.k2m.tokenizer import Tokenizer  # noqa: E402
from motionkit.training.k2m_data import WindowSource  # noqa: E402
from motionkit.training.k2m_tokenizer import TokenizerStage  # noqa: E402
from tests.training.test_k2m import clips, config  # noqa: E402


def test_a_method_can_stay_in_full_precision() -> None:
    class Product:
        @in_full
        def of(self, a: torch.Tensor, *, b: torch.Tensor) -> torch.Tensor:
            """a b"""
            return a @ b

    x = torch.rand(4, 4)
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(Product().of(x, b=x), Product().of(x, b=x).float())
        assert Product().of(x, b=x).dtype == torch.float32 and (x @ x).dtype == torch.bfloat16
    assert Product.of.__doc__ == "a b"


@pytest.mark.parametrize("seeded", [False, True], ids=["before the codebooks", "through them"])
def test_bf16_gives_nearly_the_losses_of_fp32(seeded: bool) -> None:
    """The projection alone, with f = 5000 in 8 bits, would move `rec` by half."""
    sizes, training = config().sizes().tokenizer, config().tokenizer
    found = []
    for half in (False, True):
        torch.manual_seed(0)
        model = Tokenizer(sizes)
        stage = TokenizerStage(WindowSource(clips(), 16, 4, True), training)
        if seeded:
            stage.seed_codebooks(model)
        torch.manual_seed(1)
        batch = stage.draw(6)
        with torch.autocast("cpu", torch.bfloat16, enabled=half):
            loss, terms = stage.loss(model, batch, 6)
        loss.backward()
        values = [p.grad for p in model.parameters() if p.grad is not None]
        norm = torch.stack([g.norm() for g in values]).norm().item()
        found.append({"gradient": norm, **{k: v.item() for k, v in terms.items()}})
    for name in ("loss", "rec", "vel", "boundary", "cycle", "flat", "gradient"):
        assert found[1][name] == pytest.approx(found[0][name], rel=0.02), name
    assert found[0] != found[1]
