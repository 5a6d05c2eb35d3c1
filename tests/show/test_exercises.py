"""Exercises that answer."""

import math
import tomllib
import warnings
from fractions import Fraction
from importlib.resources import files

import numpy as np
import pytest
import scipy.integrate
import scipy.optimize
import scipy.sparse.linalg
import scipy.stats
import sklearn.metrics
import torch
import transformers

import gradbook as gb
from gradbook.show.code_exercises import EXERCISES


def test_exercises_answer_mistakes_too():
    assert gb.check("layers-to-a-million", 212).right
    assert "twice as long" in gb.check("layers-to-a-million", "105.92").text
    assert "not a finite number" in gb.check("layers-to-a-million", float("nan")).text
    assert "The answer is one number" in gb.check("layers-to-a-million", [1, 2]).text
    assert not gb.check("layers-to-a-million", 3).right
    with pytest.raises(ValueError, match="did you mean 'layers-to-a-million'"):
        gb.check("layer-to-a-million", 1)
    with pytest.raises(ValueError, match="does not exist; see the chapters"):
        gb.check("zzz", 1)


def back(delta, W, z):
    """By torch's autograd, which is what the answer is held against."""
    z = torch.tensor(z, requires_grad=True)
    (found,) = torch.autograd.grad(torch.tanh(z) @ torch.tensor(W), z, torch.tensor(delta))
    return found.numpy()


def by_sampling(slope, sigma_w, q):
    z = np.random.default_rng(1).normal(0, q**0.5, 200_000)
    return sigma_w**2 * (slope(z) ** 2).mean()


def gain(a, sigma_w):
    return sigma_w**2 / torch.nn.init.calculate_gain("leaky_relu", a) ** 2


def top(times_H, d):
    """By scipy's Lanczos iteration."""
    H = scipy.sparse.linalg.LinearOperator((d, d), matvec=times_H)
    return scipy.sparse.linalg.eigsh(H, 1, return_eigenvectors=False)[0]


def by_torch(gradient, theta, lr, steps):
    weights = torch.nn.Parameter(torch.tensor(theta))
    optimizer = torch.optim.SGD([weights], lr)
    for _ in range(steps):
        weights.grad = torch.tensor(gradient(weights.detach().numpy()))
        optimizer.step()
    return weights.detach().numpy()


def by_search(curvature, g):
    found = scipy.optimize.minimize_scalar(lambda lr: -lr * (1 - lr * curvature / 2) * g**2)
    return found.x, -found.fun


def through_skip(delta, h, W):
    h = torch.tensor(h, requires_grad=True)
    (found,) = torch.autograd.grad(h + torch.tanh(h @ torch.tensor(W)), h, torch.tensor(delta))
    return found.numpy()


def one_step(x, y, W1, W2, lr):
    weights = [torch.nn.Parameter(torch.tensor(W)) for W in (W1, W2)]
    optimizer = torch.optim.SGD(weights, lr)
    off = torch.tanh(torch.tensor(x) @ weights[0]) @ weights[1] - torch.tensor(y)
    (off.square().sum() / 2 / len(x)).backward()
    optimizer.step()
    return tuple(W.detach().numpy() for W in weights)


def twice(w, x):
    w = torch.tensor(w, requires_grad=True)
    return torch.autograd.grad(torch.tanh(w * torch.tanh(w * x)), w)[0].item()


def pairs(phi, sigma_w, sigma_b, q, c):
    u, w = np.random.default_rng(3).multivariate_normal([0, 0], [[q, c * q], [c * q, q]], 400_000).T
    lengths = [sigma_w**2 * (phi(z) ** 2).mean() + sigma_b**2 for z in (u, w)]
    return (sigma_w**2 * (phi(u) * phi(w)).mean() + sigma_b**2) / np.sqrt(np.prod(lengths))


def settled(phi, slope, sigma_w, sigma_b):
    mean = lambda f, q: scipy.integrate.quad(
        lambda u: f(np.sqrt(q) * u) * scipy.stats.norm.pdf(u), -9, 9
    )[0]
    q = scipy.optimize.brentq(
        lambda q: sigma_w**2 * mean(lambda z: phi(z) ** 2, q) + sigma_b**2 - q, 1e-3, 50
    )
    return sigma_w**2 * mean(lambda z: slope(z) ** 2, q)


def length_of_relu(sigma_w, sigma_b):
    q = 1.0
    for _ in range(20_000):
        q = min(sigma_w**2 * q / 2 + sigma_b**2, 1e300)
    return q if q < 1e300 else np.inf


def by_probe(model, x, y):
    """gb.probe's signal is of one example: of the sum of losses, root of the mean of squares."""
    found = gb.probe(model, lambda: torch.nn.functional.cross_entropy(model(x), y)).signal
    return [signal / len(x) ** 0.5 for signal in found.values]


def by_clip(model, batches):
    norms = []
    for x, y in batches:
        model.zero_grad()
        torch.nn.functional.cross_entropy(model(x), y).backward()
        norms.append(torch.nn.utils.clip_grad_norm_(model.parameters(), torch.inf).item())
    return norms


def slope_of_scale(f, y):
    c = torch.tensor(1.0, dtype=torch.float64, requires_grad=True)
    loss = torch.nn.functional.cross_entropy(c * torch.tensor(f), torch.tensor(y))
    return torch.autograd.grad(loss, c)[0].item()


def by_torch_init(shape, mode, a):
    torch.manual_seed(0)
    w = torch.empty(shape, dtype=torch.float64)
    fan = torch.nn.init._calculate_correct_fan(w, mode)
    return torch.nn.init.calculate_gain("leaky_relu", a) / fan**0.5


def uniform_of_he(rng, n_in, n_out):
    bound = scipy.optimize.brentq(
        lambda a: scipy.stats.uniform(-a, 2 * a).var() - 2 / n_in, 1e-6, 10
    )
    return scipy.stats.uniform(-bound, 2 * bound).rvs((n_in, n_out), random_state=rng)


def level_with_dropout(n_in, p):
    h = torch.relu(torch.randn(4_000_000, dtype=torch.float64, generator=SEED))
    kept = torch.rand(len(h), generator=SEED) >= p
    return 1 / (n_in * ((h * kept / (1 - p)) ** 2).mean().item())


SEED = torch.Generator().manual_seed(0)


def rms_by_torch(g, z):
    z = torch.tensor(z, requires_grad=True)
    norm = torch.nn.RMSNorm(z.shape[1], eps=0, dtype=z.dtype)
    return torch.autograd.grad(norm(z), z, torch.tensor(g))[0].numpy()


def running_by_torch(z, mean, var, training):
    """PyTorch's running variance takes the unbiased one of a batch, the exercise's does not."""
    mean, kept = torch.tensor(mean), torch.tensor(var)
    out = torch.nn.functional.batch_norm(torch.tensor(z), mean, kept, training=training)
    taken = (kept.numpy() - 0.9 * var) * (len(z) - 1) / len(z)
    return out.numpy(), mean.numpy(), 0.9 * var + taken if training else var


def settled_by_steps(lr, decay, c):
    rng, W = np.random.default_rng(0), np.ones(3)
    for _ in range(int(20 / (lr * decay))):
        g = rng.normal(size=3)
        g -= W * (g @ W) / (W @ W)
        W = (1 - lr * decay) * W - lr * c * g / np.linalg.norm(g) / np.linalg.norm(W)
    return W @ W


def by_transformers(t, lr, warm, total):
    optimizer = torch.optim.SGD([torch.zeros(1)], lr=lr)
    with warnings.catch_warnings():  # its scheduler is asked for a rate before the first step
        warnings.simplefilter("ignore")
        schedule = transformers.get_cosine_schedule_with_warmup(optimizer, warm, total)
    return lr * schedule.lr_lambdas[0](t)


def by_scheduler(epochs, batches):
    optimizer = torch.optim.SGD([torch.zeros(1)], lr=0.1)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, epochs * batches)
    rates = []
    for _ in range(epochs * batches):
        rates.append(schedule.get_last_lr()[0])
        optimizer.step()
        schedule.step()
    return rates


def by_least(square, curvature, variance):
    def after(rate):
        return (1 - rate * curvature) ** 2 * square + rate**2 * variance

    return scipy.optimize.minimize_scalar(after, (0, 1 / curvature)).x


def by_torch_adam(gradients, lr, beta1, beta2, eps):
    x = torch.zeros(gradients.shape[1], dtype=torch.float64)
    optimizer = torch.optim.Adam([x], lr=lr, betas=(beta1, beta2), eps=eps)
    for g in gradients:
        x.grad = torch.tensor(g)
        optimizer.step()
    return x.numpy()


def several_by_torch(params, gradients):
    params = [torch.tensor(p) for p in params]
    optimizer = torch.optim.Adam(params, lr=0.1)
    for grads in gradients:
        for p, g in zip(params, grads):
            p.grad = torch.tensor(g)
        optimizer.step()
    return tuple(p.numpy() for p in params)


def mean_step(mean, deviation):
    rng, x = np.random.default_rng(0), torch.zeros(2000, dtype=torch.float64)
    optimizer = torch.optim.Adam([x], lr=1.0, betas=(0.9, 0.9999), eps=0)
    for _ in range(1000):
        x.grad = torch.tensor(rng.normal(mean, deviation, 2000))
        optimizer.step()
    return -x.mean().item() / 1000


def corrected_by_hand(scores, n_train, n_test):
    """Student's interval of scipy, widened by the ratio of the two standard errors."""
    mean, error = np.mean(scores), scipy.stats.sem(scores)
    high = scipy.stats.t.interval(0.95, len(scores) - 1, loc=mean, scale=error)[1]
    return (high - mean) * (1 + len(scores) * n_test / n_train) ** 0.5


def by_sklearn(answers, labels, batch):
    return sklearn.metrics.accuracy_score(labels, answers)


def by_growth(times, blocks):
    grown = lambda s: (1 + s * s) ** (blocks / 2) - times
    return scipy.optimize.brentq(grown, 0, 10)


def by_permutations(lr, curvature, variance, N):
    """With the covariance matrix of a random order."""
    c = (1 - lr * curvature) ** np.arange(N)
    covariance = variance * N / (N - 1) * (np.eye(N) - np.ones((N, N)) / N)
    return lr**2 * c @ covariance @ c / (1 - (1 - lr * curvature) ** (2 * N))


def of_the_whole_batch(w, parts):
    """By torch's autograd, on all examples at once."""
    x, y = (torch.tensor(np.concatenate(part)) for part in zip(*parts))
    w = torch.tensor(w, requires_grad=True)
    return torch.autograd.grad(0.5 * ((x @ w - y) ** 2).mean(), w)[0].numpy()


def most_gained(square, GHG, trace, B):
    """The best step by scipy's search; where it gains half of the most by its root finding."""
    gain = lambda size: (
        -scipy.optimize.minimize_scalar(
            lambda eta: -eta * square + eta**2 / 2 * (GHG + trace / size), (0, square / GHG)
        ).fun
    )
    half = scipy.optimize.brentq(lambda size: gain(size) - gain(1e12) / 2, 1e-3, 1e6)
    return gain(B), half


def through_time_by_autograd(x, W_x, W_h, b, V):
    """Of the sum of all v·h, by torch's own recurrent layer."""
    rnn = torch.nn.RNN(x.shape[1], len(W_h)).double()
    with torch.no_grad():
        for p, value in zip(rnn.parameters(), (W_x.T, W_h.T, b, np.zeros(len(b)))):
            p.copy_(torch.from_numpy(value))
    (rnn(torch.from_numpy(x))[0] * torch.from_numpy(V)).sum().backward()
    return rnn.weight_ih_l0.grad.T.numpy(), rnn.weight_hh_l0.grad.T.numpy()


def one_bias_of_two(lstm, bias):
    """With all weights 0, one step keeps the share σ(f) of the cell."""
    n = lstm.hidden_size
    with torch.no_grad():
        lstm.bias_hh_l0[n : 2 * n] = bias
        lstm.bias_ih_l0[n : 2 * n] = 0
        acting = lstm.bias_ih_l0 + lstm.bias_hh_l0
        for p in (lstm.weight_ih_l0, lstm.weight_hh_l0):
            p.zero_()
        kept = torch.autograd.functional.jacobian(
            lambda c: lstm(torch.zeros(1, 1, 2), (torch.zeros(1, 1, n), c))[1][1],
            torch.ones(1, 1, n),
        )
    assert np.allclose(kept.reshape(n, n).diagonal(), 1 / (1 + np.exp(-bias)))
    return acting


def by_powers(a, c):
    power = lambda k: -(scipy.linalg.expm(k * scipy.linalg.logm([[a, c], [0, a]]))[0, 1])
    return -scipy.optimize.minimize_scalar(power, (0.5, -1.1 / np.log(a))).fun


def by_hypot(arrays):
    return math.hypot(*np.concatenate([a.ravel() for a in arrays]).tolist())


def by_torch_clipping(micro_batches, lr, c):
    p = torch.nn.Parameter(torch.zeros(5, dtype=torch.float64))
    for g in micro_batches:
        (p @ torch.tensor(g) / len(micro_batches)).backward()
    torch.nn.utils.clip_grad_norm_([p], c)
    torch.optim.SGD([p], lr).step()
    return p.detach().numpy()


def by_root(p, c):
    pull = lambda w: p * np.clip(w, -c, c) + (1 - p) * np.clip(w - 1e3, -c, c)
    return scipy.optimize.brentq(pull, 0, c)


def by_torch_block(z, W, s):
    z, W = torch.tensor(z), torch.tensor(W)
    return torch.lerp(z, torch.relu(z) @ W, 0.5) * 2 * s + (math.cos(math.asin(s)) - s) * z


def by_torch_networks(x, first, second, s):
    def network(weights):
        z = torch.tensor(x)
        for W in torch.tensor(weights):
            z = torch.add(z, torch.relu(z) @ W, alpha=s)
        return z

    return torch.nn.functional.mse_loss(network(first), network(second)).numpy()


def by_fractions(L):
    return float(math.prod(Fraction(l + 1, l) for l in range(1, L + 1)))


def step_by_scaler(w, scaled, scale, lr):
    """By torch's GradScaler, whose order of calls is that of its manual."""
    p = torch.nn.Parameter(torch.tensor(w))
    optimizer = torch.optim.SGD([p], lr=lr)
    scaler = torch.amp.GradScaler("cpu", init_scale=scale)
    scaler.scale((p * torch.tensor(scaled / scale)).sum()).backward()
    scaler.unscale_(optimizer)
    torch.nn.utils.clip_grad_norm_([p], 1.0)
    scaler.step(optimizer)
    return p.detach().numpy()


def by_expectation(p, u):
    up = scipy.stats.bernoulli(p)
    return up.expect(lambda k: (k - p) ** 2) * u**2, (abs(np.array([p, 1 - p])).min() * u) ** 2


@pytest.mark.parametrize(
    "name, answer",
    [
        ("norm-that-holds", lambda x: math.hypot(*x.tolist())),
        ("scale-bug", step_by_scaler),
        ("two-roundings", by_expectation),
        ("bptt-every-time", through_time_by_autograd),
        ("forget-gate-bug", one_bias_of_two),
        ("largest-of-powers", by_powers),
        ("variance-kept", by_torch_block),
        ("norm-of-all", by_hypot),
        ("clip-in-the-loop", by_torch_clipping),
        ("tug-of-war", by_root),
        ("same-input", by_torch_networks),
        ("product-of-branches", by_fractions),
        ("reshuffled-floor", by_permutations),
        ("accumulation-bug", of_the_whole_batch),
        ("gain-of-a-step", most_gained),
        ("corrected-interval", corrected_by_hand),
        ("batches-bug", by_sklearn),
        ("branch-for-a-growth", by_growth),
        ("adam-by-hand", by_torch_adam),
        ("count-bug", several_by_torch),
        ("step-in-noise", mean_step),
        ("warm-up-then-cosine", by_transformers),
        ("cosine-bug", by_scheduler),
        ("best-next-rate", by_least),
        ("rms-backward", rms_by_torch),
        ("running-bug", running_by_torch),
        ("settled-length", settled_by_steps),
        ("kaiming-deviation", by_torch_init),
        ("uniform-bug", uniform_of_he),
        ("signals-by-hooks", by_probe),
        ("norms-bug", by_clip),
        ("common-product", slope_of_scale),
        ("correlation-by-sampling", pairs),
        ("chi-bug", settled),
        ("fixed-point-of-relu", length_of_relu),
        ("back-through-a-skip", through_skip),
        ("update-bug", one_step),
        ("weight-used-twice", twice),
        ("backward-bug", back),
        ("chi-by-sampling", by_sampling),
        ("chi-of-leaky-relu", gain),
        ("power-iteration", top),
        ("descent-bug", by_torch),
        ("best-guarantee", by_search),
    ],
)
def test_code_is_compared_with_what_others_compute(name, answer):
    assert gb.check(name, answer).right


def test_the_variance_with_dropout_is_that_of_drawn_units():
    for n_in, p in ((64, 0.5), (100, 0.1)):
        wanted = EXERCISES["variance-with-dropout"].wanted(n_in, p)
        assert level_with_dropout(n_in, p) == pytest.approx(wanted, rel=0.01)
    assert gb.check("variance-with-dropout", lambda n_in, p: 2 * (1 - p) / n_in).right


def test_every_mistake_in_code_has_its_own_reply():
    replies = tomllib.loads((files("gradbook.show") / "exercises.toml").read_text("utf-8"))
    for name, exercise in EXERCISES.items():
        listed = [mistake["like"] for mistake in replies[name]["mistakes"]]
        assert listed == list(exercise.mistakes)
        for mistake, function in exercise.mistakes.items():
            said = gb.check(name, function)
            wanted = next(m["reply"] for m in replies[name]["mistakes"] if m["like"] == mistake)
            assert not said.right and said.text == wanted, (name, mistake)


def test_code_that_cannot_be_tried_is_told_why():
    assert "No answer yet" in gb.check("backward-bug", lambda delta, W, z: ...).text
    assert "raised ValueError" in gb.check("backward-bug", lambda delta, W, z: delta @ W).text
    assert "returned the shape (4, 2)" in gb.check("backward-bug", lambda d, W, z: d).text
    assert "The answer is a function" in gb.check("backward-bug", 3).text
    assert "average" in gb.check("chi-by-sampling", lambda slope, sigma_w, q: 7.0).text


@pytest.mark.parametrize("answer", [None, "0.3", [1, [2, 3]], 1j, [None, 2.0]])
def test_what_is_no_number_is_told(answer):
    assert "did not return numbers" in gb.check("weight-used-twice", lambda w, x: answer).text


def test_a_list_for_a_tuple_and_a_tensor_for_an_array_will_do():
    assert gb.check("update-bug", lambda *a: list(one_step(*a))).right
    assert gb.check(
        "weight-used-twice", lambda w, x: torch.tensor(twice(w, x)).requires_grad_()
    ).right
    short = gb.check("best-guarantee", lambda curvature, g: 1 / curvature).text
    assert "shape (); () and () is right" in short
