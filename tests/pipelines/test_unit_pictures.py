"""The inputs that use each unit of a code most."""

from functools import partial

import pytest
import torch

from data import Digits
from lit_ae.networks import MLP
from lit_ae.sparsity import TopK
from lit_ae.variants import SparseAutoencoder, VectorQuantizedAutoencoder
from pipelines import pictures, portfolio

small = partial(MLP, hidden=[12])
MODELS = {
    "sparse": partial(SparseAutoencoder, latent_dim=30, sparsity=partial(TopK, k=4)),
    "vector-quantised": partial(VectorQuantizedAutoencoder, latent_dim=12, groups=3, codes=9),
}


@pytest.mark.parametrize("variant", MODELS.values(), ids=MODELS.keys())
def test_each_row_holds_the_inputs_that_use_its_unit_most(variant, tmp_path, monkeypatch):
    torch.manual_seed(0)
    data = Digits(seed=0)
    model = variant(data.spec, network=small).eval()
    x = data.split("test").x[:120]
    given = {}
    draw = pictures.unit_grid
    monkeypatch.setattr(
        pictures,
        "unit_grid",
        lambda grid, notes, *rest: given.update(grid=grid, notes=notes) or draw(grid, notes, *rest),
    )
    assert portfolio._units(model, x, tmp_path, "t").read_bytes()[1:4] == b"PNG"
    activity = model.posterior(x).activity.detach()
    for row, note in zip(given["grid"], given["notes"], strict=True):
        unit = int(note.split(",")[0].removeprefix("unit "))
        shown = model.posterior(row).activity[:, unit].detach()
        assert torch.allclose(shown, activity[:, unit].sort(descending=True).values[: len(shown)], atol=1e-6)
        assert note.endswith(f"in {(activity[:, unit] > 0).float().mean():.0%}")
