"""watch inside training loops as people write them."""

import copy
import math

import pytest
import torch
from torch import nn

import gradbook as gb


def setup(seed=0, **options):
    torch.manual_seed(seed)
    model = nn.Sequential(
        nn.Linear(8, 16), nn.ReLU(), nn.Linear(16, 16), nn.Tanh(), nn.Linear(16, 3)
    )
    return (
        model,
        torch.optim.SGD(model.parameters(), **{"lr": 0.1} | options),
        torch.randn(12, 8),
        torch.randint(3, (12,)),
    )


def step(model, optimizer, x, y, log=None, clip=None, scaler=None):
    optimizer.zero_grad()
    loss = nn.functional.cross_entropy(model(x), y)
    (scaler.scale(loss) if scaler else loss).backward()
    if clip:
        nn.utils.clip_grad_norm_(model.parameters(), clip)
    if scaler:
        scaler.step(optimizer)
        scaler.update()
    else:
        optimizer.step()
    if log:
        log.see(loss)


def same(
    a,
    b,
    quantities=(
        "signal",
        "grad_norm",
        "weight_norm",
        "activation_rms",
        "activation_mean",
        "dead",
        "saturation",
    ),
):
    for q in quantities:
        torch.testing.assert_close(
            torch.tensor(a[q].values),
            torch.tensor(b[q].values),
            rtol=1e-5,
            atol=1e-7,
            equal_nan=True,
            msg=q,
        )


@pytest.mark.parametrize("momentum", [0.0, 0.9])
def test_what_is_seen_at_a_step_is_what_probe_sees_there(momentum):
    model, optimizer, x, y = setup(momentum=momentum)
    probes = []
    with gb.watch(model, optimizer, every=3) as log:
        for t in range(10):
            if t % 3 == 0:
                log._disarm()
                twin = copy.deepcopy(model)
                theirs = torch.optim.SGD(twin.parameters())
                theirs.load_state_dict(copy.deepcopy(optimizer.state_dict()))
                probes.append(
                    gb.probe(twin, lambda: nn.functional.cross_entropy(twin(x), y), theirs)
                )
                log._arm()
            step(model, optimizer, x, y, log)
    data = log.dataset()
    assert (
        data.step.values.tolist() == [0, 3, 6, 9]
        and data.layer.values.tolist() == ["0", "2", "4"]
        and data.sizes["seen"] == 10
    )
    for row, seen in zip(range(4), probes):
        same(data.isel(step=row), seen)
        torch.testing.assert_close(
            torch.tensor(data.update_ratio.values[row]),
            torch.tensor(seen.update_ratio.values),
            rtol=1e-3,
            atol=0,
        )
        assert data.loss.values[3 * row] == pytest.approx(seen.attrs["loss"])
    assert data.attrs["lr"] == 0.1 and data.attrs["momentum"] == momentum


def test_training_is_not_changed_and_hooks_are_gone():
    runs = []
    for watched in (False, True):
        model, optimizer, x, y = setup()
        if watched:
            with gb.watch(model, optimizer, every=2):
                for _ in range(9):
                    step(model, optimizer, x, y)
        else:
            for _ in range(9):
                step(model, optimizer, x, y)
        assert not any(m._forward_hooks or m._forward_pre_hooks for m in model.modules())
        assert not optimizer._optimizer_step_pre_hooks and not optimizer._optimizer_step_post_hooks
        runs.append([p.detach().clone() for p in model.parameters()])
    assert all(torch.equal(a, b) for a, b in zip(*runs))


def test_between_sampled_steps_no_hook_is_set():
    model, optimizer, x, y = setup()
    with gb.watch(model, optimizer, every=4):
        for t in range(8):
            assert bool(model[0]._forward_hooks) == (t % 4 == 0)
            step(model, optimizer, x, y)


def test_gradients_are_seen_before_they_are_clipped_and_unscaled():
    seen = []
    for clip, scaler in (
        (None, None),
        (1e-3, None),
        (None, torch.amp.GradScaler("cpu", init_scale=4096.0)),
    ):
        model, optimizer, x, y = setup()
        with gb.watch(model, optimizer, every=1, scaler=scaler) as log:
            step(model, optimizer, x, y, clip=clip, scaler=scaler)
        seen.append(log.dataset())
    same(seen[0], seen[1], ["signal", "grad_norm"])
    same(seen[0], seen[2], ["signal", "grad_norm"])
    assert (seen[1].update_ratio < seen[0].update_ratio / 10).all()


def test_summed_gradients_of_micro_batches():
    model, optimizer, x, y = setup()
    with gb.watch(model, optimizer, every=1) as log:
        optimizer.zero_grad()
        for part in (slice(0, 6), slice(6, 12)):
            (nn.functional.cross_entropy(model(x[part]), y[part]) / 2).backward()
        optimizer.step()
    whole, optimizer, x, y = setup()
    full = gb.probe(whole, lambda: nn.functional.cross_entropy(whole(x), y))
    same(log.dataset().isel(step=0), full, ["grad_norm"])


def test_dead_and_saturated_parts_are_counted():
    model, optimizer, x, y = setup()
    with torch.no_grad():
        model[0].bias[:4] = -100.0
        model[2].weight.mul_(20)
    with gb.watch(model, optimizer) as log:
        h = torch.relu(model[0](x))
        saturated = (torch.tanh(model[2](h)).abs() > 0.975).double().mean().item()
        step(model, optimizer, x, y)
    data = log.dataset().isel(step=0)
    assert (
        data.dead.values[1] == pytest.approx((h.amax(0) == 0).double().mean().item())
        and data.dead.values[1] >= 0.25
    )
    assert data.saturation.values[2] == pytest.approx(saturated) and 0.3 < saturated < 0.95
    assert math.isnan(data.saturation.values[1]) and math.isnan(data.dead.values[0])


def test_validation_inside_the_loop_leaves_no_rows():
    model, optimizer, x, y = setup()
    with gb.watch(model, optimizer, every=1) as log:
        for _ in range(3):
            with torch.no_grad():
                model(x)
            step(model, optimizer, x, y)
    assert log.dataset().layer.values.tolist() == ["0", "2", "4"]


def test_rules_of_ours_and_large_layers():
    torch.manual_seed(0)
    # 120,000 weights, 80,000 inputs
    model = nn.Sequential(nn.Linear(300, 400), nn.ReLU(), nn.Linear(400, 3))
    optimizer = gb.as_torch(gb.adam, model.parameters(), 0.01)
    x, y = torch.randn(200, 300), torch.randint(3, (200,))
    with gb.watch(model, optimizer, every=1) as log:
        step(model, optimizer, x, y)
    data = log.dataset().isel(step=0)
    again = nn.Sequential(nn.Linear(300, 400), nn.ReLU(), nn.Linear(400, 3))
    torch.manual_seed(0)
    again = nn.Sequential(nn.Linear(300, 400), nn.ReLU(), nn.Linear(400, 3))
    grads = torch.autograd.grad(
        nn.functional.cross_entropy(again(x), y), [again[0].weight, again[2].weight]
    )
    assert data.grad_norm.values == pytest.approx([g.norm().item() for g in grads], rel=1e-4)
    assert data.update_ratio.values == pytest.approx(
        [
            0.01 * w.numel() ** 0.5 / w.detach().norm().item()
            for w in (again[0].weight, again[2].weight)
        ],
        rel=1e-2,
    )


def test_a_failing_loop_leaves_no_hooks():
    model, optimizer, x, y = setup()
    with pytest.raises(RuntimeError), gb.watch(model, optimizer, every=1):
        model(torch.randn(3, 5))
    assert not any(m._forward_hooks for m in model.modules())


@pytest.mark.parametrize(
    "make, error, says",
    [
        (lambda m, o: gb.watch(m, "sgd"), TypeError, "must be a torch.optim.Optimizer"),
        (lambda m, o: gb.watch(m, o, every=0), ValueError, "every is 0"),
        (lambda m, o: gb.watch(nn.Linear(2, 2), o), ValueError, "none of model's weights"),
        (lambda m, o: gb.watch(nn.ReLU(), o), ValueError, "no trainable parameters"),
        (lambda m, o: gb.watch(m, o).dataset(), ValueError, "nothing was measured"),
    ],
)
def test_bad_input(make, error, says):
    model, optimizer, *_ = setup()
    with pytest.raises(error, match=says):
        make(model, optimizer)


def test_two_backward_passes_in_one_step_are_both_in_the_gradient():
    model, optimizer, x, y = setup()
    with gb.watch(model, optimizer, every=1) as log:
        z = model(x)
        z[:, 0].mean().backward(retain_graph=True)
        (100 * z[:, 1].mean()).backward()
        norms = [model[i].weight.grad.norm().item() for i in (0, 2, 4)]
        optimizer.step()
    assert log.dataset().grad_norm.values[0] == pytest.approx(norms, rel=1e-4)


def test_two_watches_give_compilation_back():
    import torch._dynamo

    (a, optimizer_a, x, y), (b, optimizer_b, *_) = setup(), setup(1)
    with gb.watch(a, optimizer_a, every=2), gb.watch(b, optimizer_b, every=2):
        for _ in range(3):
            step(a, optimizer_a, x, y)
            step(b, optimizer_b, x, y)
    assert torch._dynamo.eval_frame._stance.stance == "default"


def test_states_of_a_recurrent_layer_count_as_its_output():
    torch.manual_seed(0)
    lstm, out = nn.LSTM(4, 8), nn.Linear(8, 3)
    model, x, y = nn.ModuleList([lstm, out]), torch.randn(6, 5, 4), torch.randint(3, (5,))
    optimizer = torch.optim.SGD(model.parameters(), 0.1)
    with gb.watch(model, optimizer, every=1) as log:
        nn.functional.cross_entropy(out(lstm(x)[1][0][-1]), y).backward()
        optimizer.step()
    data = log.dataset()
    assert (
        data.layer.values.tolist() == ["0", "1"]
        and (data.signal > 0).all()
        and data.attrs["left_out"] == []
    )


def test_spectral_norm_keeps_its_weight_with_its_layer():
    torch.manual_seed(0)
    model = nn.Sequential(
        nn.utils.parametrizations.spectral_norm(nn.Linear(6, 8)), nn.ReLU(), nn.Linear(8, 2)
    )
    x = torch.randn(5, 6)
    data = gb.probe(model, lambda: model(x).square().mean())
    assert data.layer.values.tolist() == ["0", "2"] and data.attrs["left_out"] == []
    assert data.weight_norm.values[0] == pytest.approx(
        model[0].parametrizations.weight.original.norm().item(), rel=1e-5
    )


def test_dropout_and_scaling_are_no_saturation():
    torch.manual_seed(0)
    for scaled in (nn.Dropout(0.5), nn.Sequential()):
        model = nn.Sequential(nn.Linear(20, 200), nn.Sigmoid(), scaled, nn.Linear(200, 5))
        x = torch.randn(30, 20)
        seen = gb.probe(model, lambda: model(x).square().mean()).saturation.values[-1]
        assert math.isnan(seen) or seen == 0


def test_dead_channels_first_and_last():
    torch.manual_seed(0)
    linear = nn.Sequential(nn.Linear(8, 40), nn.ReLU(), nn.Linear(40, 3))
    conv = nn.Sequential(
        nn.Conv1d(2, 20, 3), nn.ReLU(), nn.BatchNorm1d(20), nn.Flatten(), nn.Linear(120, 2)
    )
    with torch.no_grad():
        linear[0].bias[:38] = -100
        conv[0].bias[:19] = -100
    x, z = torch.randn(4, 7, 7, 8), torch.randn(5, 2, 8)
    assert gb.probe(linear, lambda: linear(x).square().mean()).dead.values[1] == pytest.approx(0.95)
    assert gb.probe(conv, lambda: conv(z).square().mean()).dead.values[1] == pytest.approx(0.95)
