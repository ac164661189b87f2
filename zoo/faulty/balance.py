"""One term owns the gradient, another has none of it; reductions and lengths that cause it."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from zoo.case import faulty
from zoo.data import blobs, boxes, mixture, speech, tokens
from zoo.desk import Desk
from zoo.loop import Terms, fit
from zoo.nets import Detector, Heads, Language, Speech, Vae, Vq, at_object, kl_of, mlp, perplexity


@faulty("dominance", "starvation", terms=("pde", "boundary"))
def boundary_times_a_thousand(desk: Desk) -> None:
    """A PINN for u'' = f whose boundary condition is weighted 1e3: the equation is not solved."""
    model = mlp(1, 32, 32, 1, act=nn.Tanh)
    optimizer = torch.optim.Adam(model.parameters(), 2e-3)

    def terms(_: int) -> Terms:
        x = torch.rand(64, 1, requires_grad=True)
        u = model(x)
        (slope,) = torch.autograd.grad(u.sum(), x, create_graph=True)
        (bend,) = torch.autograd.grad(slope.sum(), x, create_graph=True)
        force = -9.87 * (3.1416 * x).sin()
        edge = model(torch.tensor([[0.0], [1.0]]))
        return {
            "pde": 1e-2 * (bend - force).square().mean(),
            "boundary": (edge - torch.tensor([[0.0], [1.0]])).square().mean(),
        }

    fit(desk, model, optimizer, terms, weights={"pde": 1.0, "boundary": 1e3})


@faulty("dominance", "reduction", "starvation", terms=("feat", "ce"))
def features_summed(desk: Desk) -> None:
    """Feature distillation as a sum over all elements of the map, beside one cross-entropy."""
    teacher, model = Detector(), Detector()
    optimizer = torch.optim.SGD(model.parameters(), 1e-4, momentum=0.9)

    def terms(_: int) -> Terms:
        images, target, _, kind = boxes()
        classes = at_object(model(images)[2], target)
        with torch.no_grad():
            wise = teacher.backbone(images)
        gap = (model.backbone(images) - wise).square().sum()
        return {"ce": F.cross_entropy(classes, kind), "feat": gap}

    fit(desk, model, optimizer, terms, style="bracket")


@faulty("dominance", "reduction", "starvation", terms=("obj", "cls", "box"))
def focal_not_normalised(desk: Desk) -> None:
    """Objectness is summed over all anchors of the batch, boxes and classes are means."""
    model = Detector()
    optimizer = torch.optim.AdamW(model.parameters(), 2e-3)

    def terms(_: int) -> Terms:
        images, target, box, kind = boxes(32)
        logits, found, classes = model(images)
        return {
            "obj": 10 * F.binary_cross_entropy_with_logits(logits, target, reduction="sum"),
            "box": F.smooth_l1_loss(at_object(found, target), box),
            "cls": F.cross_entropy(at_object(classes, target), kind),
        }

    fit(desk, model, optimizer, terms, style="csv")


@faulty("starvation", "no-effect", "dominance", terms=("countdown",))
def divided_by_running_means(desk: Desk) -> None:
    """Every term is divided by its running mean; the countdown is an L1 loss near 16."""
    model = Heads({"sort": 4, "pointer": 2, "countdown": 1})
    optimizer = torch.optim.AdamW(model.parameters(), 3e-4)
    shares = {"sort": 0.2, "pointer": 0.7, "countdown": 0.1}
    means: dict[str, float] = {}
    last: Terms = {}

    def terms(_: int) -> Terms:
        x, kind, numbers = mixture()
        out = model(x)
        last.update(
            sort=F.cross_entropy(out["sort"], kind),
            pointer=0.01 * F.mse_loss(out["pointer"], numbers),
            countdown=F.huber_loss(out["countdown"][:, 0], 16 + 8 * numbers[:, 0]),
        )
        for name, one in last.items():
            old = means.get(name, float(one))
            means[name] = 0.95 * old + 0.05 * float(one)
        return dict(last)

    def weights(_: int) -> dict[str, float]:
        return {name: share / means.get(name, 1.0) for name, share in shares.items()}

    with desk.open(model, optimizer) as session:
        for at in range(300):
            found = terms(at)
            optimizer.zero_grad()
            session.total(found, weights(at)).backward()
            optimizer.step()


@faulty("starvation", "reduction", "dominance", terms=("kd", "ce"))
def distillation_over_all_elements(desk: Desk) -> None:
    """`KLDivLoss()` with its default 'mean' over 200 classes, at weight 0.5: 1/200 of the term."""
    teacher, model = mlp(12, 64, 200), mlp(12, 64, 200)
    optimizer = torch.optim.SGD(model.parameters(), 0.1, momentum=0.9)

    def terms(_: int) -> Terms:
        x = torch.randn(32, 12)
        with torch.no_grad():
            wise = (4 * teacher(x)).softmax(1)
        out = model(x)
        kl = nn.KLDivLoss()(out.log_softmax(1), wise)
        return {"ce": F.cross_entropy(out, wise.argmax(1)), "kd": kl}

    fit(desk, model, optimizer, terms, weights={"ce": 0.5, "kd": 0.5})


@faulty(
    "starvation",
    "collapse",
    "reduction",
    "dominance",
    terms=("diversity", "perplexity"),
    least="note",
)
def diversity_not_scaled(desk: Desk) -> None:
    """A contrastive sum over targets beside a diversity term that is not scaled by their number.

    With this data the codes are used all the same.
    """
    model = Vq(wide=16, latent=8)
    optimizer = torch.optim.Adam(model.parameters(), 2e-3)
    seen: dict[str, Tensor] = {}

    def terms(_: int) -> Terms:
        thing = torch.randn(128, 16)
        z = model.encoder(thing + 0.3 * torch.randn_like(thing))
        soft = (-torch.cdist(z, model.codes) * 4).softmax(1)
        other = model.encoder(thing + 0.3 * torch.randn_like(thing))
        code = soft @ model.codes
        logits = F.normalize(other, dim=1) @ F.normalize(code, dim=1).T / 0.1
        usage = soft.mean(0)
        seen["perplexity"] = perplexity(soft.argmax(1))
        return {
            "contrastive": F.cross_entropy(logits, torch.arange(128), reduction="sum"),
            "diversity": (usage * usage.log()).sum() + torch.tensor(16.0).log(),
        }

    fit(
        desk, model, optimizer, terms, logs=lambda: seen, style="jsonl",
        weights={"contrastive": 1.0, "diversity": 0.1},
    )  # fmt: skip


@faulty("starvation", "dominance", terms=("pose", "seg"))
def radians_beside_millimetres(desk: Desk) -> None:
    """Depth in millimetres and pose in radians are both squared errors of weight 1."""
    model = Heads({"depth": 1, "pose": 1, "seg": 4})
    optimizer = torch.optim.Adam(model.parameters(), 2e-3)

    def terms(_: int) -> Terms:
        x, kind, numbers = mixture()
        out = model(x)
        return {
            "depth": F.mse_loss(1000 * out["depth"][:, 0], 1000 * numbers[:, 0]),
            "pose": F.mse_loss(out["pose"][:, 0], numbers[:, 1]),
            "seg": F.cross_entropy(out["seg"], kind),
        }

    fit(desk, model, optimizer, terms, style="pairs")


@faulty("reduction")
def gradients_never_zeroed(desk: Desk) -> None:
    """`zero_grad` got lost in a refactoring of the accumulation."""
    model = Heads({"kind": 4, "numbers": 2})
    optimizer = torch.optim.SGD(model.parameters(), 1e-3)
    with desk.open(model, optimizer) as session:
        for _ in range(300):
            x, kind, numbers = mixture()
            out = model(x)
            terms = {
                "kind": F.cross_entropy(out["kind"], kind),
                "numbers": F.mse_loss(out["numbers"], numbers),
            }
            session.total(terms).backward()
            session.log(grad_norm=nn.utils.clip_grad_norm_(model.parameters(), 1e9))
            optimizer.step()


@faulty("reduction", "explosion", "clipping")
def accumulation_not_divided(desk: Desk) -> None:
    """The distillation loss is summed over 16 micro-batches and never divided by 16."""
    teacher, model = Language(), Language()
    optimizer = torch.optim.SGD(model.parameters(), 0.3, momentum=0.9)
    with desk.open(model, optimizer, each=16) as session:
        for at in range(480):
            ids = tokens(4, 12)
            with torch.no_grad():
                wise = teacher(ids)[0].softmax(-1)
            logits = model(ids)[0]
            terms = {
                "ce": F.cross_entropy(logits[:, :-1].flatten(0, 1), ids[:, 1:].flatten()),
                "kd": F.kl_div(logits.log_softmax(-1), wise, reduction="none").sum(-1).mean(),
            }
            session.total(terms).backward()
            if at % 16 == 15:
                session.log(grad_norm=nn.utils.clip_grad_norm_(model.parameters(), 5.0))
                optimizer.step()
                optimizer.zero_grad()


@faulty("reduction", "dominance", "starvation", "collapse", terms=("kl", "recon"))
def kl_summed_recon_averaged(desk: Desk) -> None:
    """The reconstruction is a mean over 64 pixels, the KL a sum over the latent: it falls to 0."""
    model = Vae()
    optimizer = torch.optim.Adam(model.parameters(), 2e-3)

    def terms(_: int) -> Terms:
        x = blobs()
        logits, mean, logvar = model(x)
        return {
            "recon": F.mse_loss(logits.sigmoid(), x),
            "kl": kl_of(mean, logvar).sum(1).mean(),
        }

    fit(desk, model, optimizer, terms)


@faulty("reduction", "starvation", "dominance", terms=("frames", "points"))
def two_hundred_frames_two_points(desk: Desk) -> None:
    """A sum over 200 frames beside a mean over 2 points, from one trunk; counts are told."""
    model = Heads({"frames": 200, "points": 2})
    optimizer = torch.optim.Adam(model.parameters(), 1e-3)
    basis = torch.randn(2, 200)

    with desk.open(model, optimizer, style="pairs") as session:
        for _ in range(300):
            x, _, numbers = mixture()
            out = model(x)
            gap = out["frames"] - numbers @ basis
            terms = {
                "frames": gap.square().sum(1).mean(),
                "points": F.mse_loss(out["points"], numbers),
            }
            optimizer.zero_grad()
            session.total(terms, counts={"frames": 32 * 200, "points": 32 * 2}).backward()
            optimizer.step()


@faulty("scale-with-length", "reduction", terms=("kd",))
def batchmean_of_sequences(desk: Desk) -> None:
    """KL with 'batchmean' on (batch, time, vocabulary): divided by the batch, not by the time."""
    teacher, model = Language(), Language()
    optimizer = torch.optim.Adam(model.parameters(), 1e-3)
    with desk.open(model, optimizer) as session:
        for _ in range(240):
            ids = tokens(8, int(torch.randint(8, 64, ())))
            with torch.no_grad():
                wise = (6 * teacher(ids)[0]).softmax(-1)
            logits = model(ids)[0]
            terms = {
                "lm": F.cross_entropy(logits[:, :-1].flatten(0, 1), ids[:, 1:].flatten()),
                "kd": F.kl_div(logits.log_softmax(-1), wise, reduction="batchmean"),
            }
            optimizer.zero_grad()
            session.total(terms, counts={"lm": ids[:, 1:].numel(), "kd": ids.numel()}).backward()
            optimizer.step()


@faulty("scale-with-length", "reduction", "dominance", "starvation", terms=("ctc",))
def ctc_summed(desk: Desk) -> None:
    """CTC with reduction 'sum' over utterances of 3 to 14 symbols, attention as a mean."""
    model = Speech()
    optimizer = torch.optim.Adam(model.parameters(), 2e-3)
    with desk.open(model, optimizer, style="jsonl") as session:
        for _ in range(200):
            frames, symbols = speech(8, int(torch.randint(3, 15, ())))
            size, length = symbols.shape
            ctc, attention = model(frames, length)
            lengths = torch.full((size,), 4 * length), torch.full((size,), length)
            logs = ctc.log_softmax(-1).transpose(0, 1)
            terms = {
                "ctc": F.ctc_loss(logs, symbols, *lengths, reduction="sum"),
                "att": F.cross_entropy(attention.flatten(0, 1), symbols.flatten()),
            }
            optimizer.zero_grad()
            counts = {"ctc": size * length, "att": size * length}
            session.total(terms, {"ctc": 0.3, "att": 0.7}, counts=counts).backward()
            optimizer.step()


@faulty("scale-with-length", "reduction", terms=("nll",))
def loss_of_a_bucket_is_a_sum(desk: Desk) -> None:
    """Batches are buckets of 4 to 64 samples; one loss is a sum over the bucket."""
    model = Heads({"kind": 4, "numbers": 2})
    optimizer = torch.optim.Adam(model.parameters(), 1e-3)
    with desk.open(model, optimizer, style="csv", each=1) as session:
        for _ in range(300):
            size = int(2 ** torch.randint(2, 7, ()))
            x, kind, numbers = mixture(size)
            out = model(x)
            terms = {
                "nll": F.cross_entropy(out["kind"], kind, reduction="sum"),
                "numbers": F.mse_loss(out["numbers"], numbers),
            }
            optimizer.zero_grad()
            session.total(terms, counts={"nll": size, "numbers": 2 * size}).backward()
            optimizer.step()
