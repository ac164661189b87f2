"""Totals, evaluations, clipping, data and logs that do not say what they seem to say."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from zoo.case import faulty
from zoo.data import blobs, boxes, mixture, tokens
from zoo.desk import Desk
from zoo.loop import Terms, fit
from zoo.nets import Detector, Heads, Language, Policy, at_object, mlp


@faulty("unaccounted", "no-gradient", terms=("aux", "total", "loss"))
def auxiliary_not_returned(desk: Desk) -> None:
    """A sparse autoencoder computes a loss for dead latents, and returns the other one."""
    encoder, decoder = nn.Linear(64, 128), nn.Linear(128, 64)
    model = nn.ModuleList([encoder, decoder])
    optimizer = torch.optim.Adam(model.parameters(), 1e-3)
    with desk.open(model, optimizer, style="jsonl") as session:
        for _ in range(300):
            x = blobs()
            code = encoder(x)
            kept = code * (code >= code.topk(8, dim=1).values[:, -1:])
            gap = x - decoder(kept)
            dead = (code - kept).relu()
            recon = gap.square().sum(1).mean()
            terms = {"recon": recon, "aux": (gap.detach() - decoder(dead)).square().mean()}
            session.total(terms, {"recon": 1.0, "aux": 0.03})
            session.prints(loss=recon)
            optimizer.zero_grad()
            recon.backward()
            optimizer.step()


@faulty("unaccounted")
def decay_in_no_record(desk: Desk) -> None:
    """A penalty on the weights is added after the loss function, and written down nowhere."""
    model = Heads({"kind": 4, "numbers": 2})
    optimizer = torch.optim.SGD(model.parameters(), 0.05)
    with desk.open(model, optimizer) as session:
        for _ in range(300):
            x, kind, numbers = mixture()
            out = model(x)
            terms = {
                "kind": F.cross_entropy(out["kind"], kind),
                "numbers": F.mse_loss(out["numbers"], numbers),
            }
            total = session.total(terms)
            total = total + 5e-3 * sum(p.square().sum() for p in model.parameters())
            session.prints(loss=total)
            optimizer.zero_grad()
            total.backward()
            optimizer.step()


@faulty("unaccounted", "no-gradient", terms=("dice", "total", "loss"))
def only_keys_with_loss(desk: Desk) -> None:
    """The framework sums the keys that contain 'loss'; the second one is called `dice`."""
    model = mlp(64, 64, 64)
    optimizer = torch.optim.Adam(model.parameters(), 2e-3)
    with desk.open(model, optimizer, style="bracket") as session:
        for _ in range(300):
            x = blobs()
            mask = (x > 0.5).float()
            logits = model(x + 0.3 * torch.randn_like(x))
            p = logits.sigmoid()
            found = {
                "loss_ce": F.binary_cross_entropy_with_logits(logits, mask),
                "dice": 1 - (2 * (p * mask).sum() / (p.sum() + mask.sum())),
            }
            session.total(found)
            loss = sum(value for name, value in found.items() if "loss" in name)
            session.prints(loss=loss)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()


@faulty("eval-mismatch")
def evaluation_without_curriculum(desk: Desk) -> None:
    """Training follows a curriculum of weights; evaluation uses other, final ones."""
    teacher, student = Language(), Language()
    optimizer = torch.optim.AdamW(student.parameters(), 2e-3)

    def terms(_: int = 0) -> Terms:
        ids = tokens()
        with torch.no_grad():
            wise, deep = teacher(ids)
        logits, hidden = student(ids)
        kd = F.kl_div(logits.log_softmax(-1), wise.softmax(-1), reduction="none")
        return {
            "lm": F.cross_entropy(logits[:, :-1].flatten(0, 1), ids[:, 1:].flatten()),
            "kd": kd.sum(-1).mean(),
            "layer": (hidden - deep).square().sum(-1).mean(),
        }

    def weights(at: int) -> dict[str, float]:
        return {"lm": 1.0, "kd": min(1.0, at / 100), "layer": 0.0 if at < 200 else 0.1}

    fit(
        desk, student, optimizer, terms, steps=240, weights=weights, evaluate=terms,
        eval_weights={"lm": 1.0, "kd": 4.0, "layer": 1.0}, eval_each=20, style="jsonl",
    )  # fmt: skip


@faulty("eval-mismatch")
def evaluation_adds_up_batches(desk: Desk) -> None:
    """The evaluation loop adds up 8 batches and does not divide."""
    model = Heads({"kind": 4, "numbers": 2})
    optimizer = torch.optim.Adam(model.parameters(), 2e-3)

    def losses(x: Tensor, kind: Tensor, numbers: Tensor) -> Terms:
        out = model(x)
        return {
            "kind": F.cross_entropy(out["kind"], kind),
            "numbers": F.mse_loss(out["numbers"], numbers),
        }

    def evaluate() -> Terms:
        done = [losses(*mixture()) for _ in range(8)]
        return {name: sum((one[name] for one in done), start=torch.zeros(())) for name in done[0]}

    fit(
        desk, model, optimizer, lambda _: losses(*mixture()), evaluate=evaluate, eval_each=20,
        style="jsonl",
    )  # fmt: skip


@faulty("eval-mismatch", "generalisation")
def normalisation_never_settles(desk: Desk) -> None:
    """Batch norm keeps its running statistics at their start: evaluation alone is broken."""
    model = Heads({"kind": 4, "numbers": 2})
    model.trunk = nn.Sequential(nn.Linear(12, 48), nn.BatchNorm1d(48, momentum=1e-5), nn.ReLU())
    optimizer = torch.optim.Adam(model.parameters(), 3e-3)

    def terms(_: int = 0) -> Terms:
        x, kind, numbers = mixture()
        out = model(10 * x + 30)
        return {
            "kind": F.cross_entropy(out["kind"], kind),
            "numbers": F.mse_loss(out["numbers"], numbers),
        }

    fit(desk, model, optimizer, terms, evaluate=terms, eval_each=20, style="jsonl")


@faulty("clipping", "dominance", terms=("depth", "kind"))
def clipped_to_a_hundredth(desk: Desk) -> None:
    """SGD with a clip at 0.01, a hundred times below the usual norm."""
    model = Heads({"depth": 1, "kind": 4})
    optimizer = torch.optim.SGD(model.parameters(), 0.1, momentum=0.9)

    def terms(_: int) -> Terms:
        x, kind, numbers = mixture()
        out = model(x)
        return {
            "depth": F.l1_loss(out["depth"][:, 0], numbers[:, 0]),
            "kind": F.cross_entropy(out["kind"], kind),
        }

    fit(desk, model, optimizer, terms, clip=0.01)


@faulty("clipping", "dominance", "reduction", "starvation", terms=("l2", "kind"))
def clip_set_by_one_term(desk: Desk) -> None:
    """One loss is a sum of squares with a norm in the hundreds, and the clip is at 1."""
    model = Heads({"l2": 2, "kind": 4})
    optimizer = torch.optim.SGD(model.parameters(), 0.02, momentum=0.9)

    def terms(_: int) -> Terms:
        x, kind, numbers = mixture()
        out = model(x)
        return {
            "l2": (out["l2"] - 5 * numbers).square().sum(),
            "kind": F.cross_entropy(out["kind"], kind),
        }

    fit(desk, model, optimizer, terms, clip=1.0, style="pairs")


@faulty("generalisation", onset=60)
def learns_by_heart(desk: Desk) -> None:
    """64 samples, of which a third have a wrong label, and a wide network."""
    model = Heads({"kind": 4, "numbers": 2}, hidden=128)
    optimizer = torch.optim.Adam(model.parameters(), 3e-3)
    x, kind, numbers = mixture(64)
    kind = torch.where(torch.rand(64) < 0.33, torch.randint(0, 4, (64,)), kind)

    def losses(x: Tensor, kind: Tensor, numbers: Tensor) -> Terms:
        out = model(x)
        return {
            "kind": F.cross_entropy(out["kind"], kind),
            "numbers": F.mse_loss(out["numbers"], numbers),
        }

    def terms(_: int) -> Terms:
        rows = torch.randint(0, 64, (32,))
        return losses(x[rows], kind[rows], numbers[rows])

    held = mixture(512)
    fit(
        desk, model, optimizer, terms, steps=400, evaluate=lambda: losses(*held), eval_each=20,
        style="jsonl",
    )  # fmt: skip


@faulty("generalisation", terms=("rare", "val_rare", "val/rare"), onset=60)
def one_head_learns_by_heart(desk: Desk) -> None:
    """The auxiliary task has 40 labelled samples; the main task has as many as it likes."""
    model = nn.ModuleDict({"main": mlp(12, 64, 2), "rare": mlp(12, 96, 4)})
    optimizer = torch.optim.Adam(model.parameters(), 3e-3)
    few, labels, _ = mixture(40)
    labels = torch.where(torch.rand(40) < 0.3, torch.randint(0, 4, (40,)), labels)
    held = mixture(512)

    def terms(_: int) -> Terms:
        x, _, numbers = mixture()
        return {
            "main": F.mse_loss(model["main"](x), numbers),
            "rare": F.cross_entropy(model["rare"](few), labels),
        }

    def evaluate() -> Terms:
        x, kind, numbers = held
        return {
            "main": F.mse_loss(model["main"](x), numbers),
            "rare": F.cross_entropy(model["rare"](x), kind),
        }

    fit(desk, model, optimizer, terms, evaluate=evaluate, eval_each=20, style="jsonl")


@faulty("data", "no-gradient", "no-effect", terms=("box", "positives"))
def nothing_is_matched(desk: Desk) -> None:
    """Boxes are in pixels and anchors in parts of the image: no anchor ever matches."""
    model = Detector()
    optimizer = torch.optim.Adam(model.parameters(), 2e-3)
    with desk.open(model, optimizer, style="jsonl") as session:
        for _ in range(200):
            images, target, box, _ = boxes()
            logits, found, _ = model(images)
            near = (at_object(found, target) - 12 * box).abs().amax(1) < 0.05
            near &= False  # the overlap of a pixel box with a unit anchor is 0
            gap = (at_object(found, target) - box).abs().mean(1)
            terms = {
                "obj": F.binary_cross_entropy_with_logits(logits, target),
                "box": (gap * near).sum() / near.sum().clamp(min=1),
            }
            optimizer.zero_grad()
            session.total(terms, counts={"obj": logits.numel(), "box": int(near.sum())}).backward()
            session.log(positives=float(near.sum()))
            optimizer.step()


@faulty("data", terms=("kl", "objective/kl"))
def sampled_from_another_policy(desk: Desk) -> None:
    """The workers that sample never get the new weights: the estimated KL is negative."""
    model, reference = Policy(), Policy()
    reference.load_state_dict(model.state_dict())
    optimizer = torch.optim.Adam(model.parameters(), 1e-3)
    seen: dict[str, Tensor] = {}

    def terms(_: int) -> Terms:
        x = torch.randn(64, 8)
        logp, value = model(x)
        with torch.no_grad():
            old = reference(x)[0]
        action = torch.multinomial(old.exp(), 1)
        picked = logp.gather(1, action)[:, 0]
        kl = (picked - old.gather(1, action)[:, 0]).detach()
        reward = (action[:, 0] == (x[:, 0] > 0).long()).float() - 0.05 * kl
        seen["objective/kl"] = kl.mean()
        return {
            "policy": -((reward - value.detach()) * picked).mean(),
            "value": F.mse_loss(value, reward),
        }

    fit(desk, model, optimizer, terms, logs=lambda: seen, style="jsonl")


@faulty("data", terms=("depth",), least="note")
def labels_lost_in_the_loader(desk: Desk) -> None:
    """Nine in ten depth maps cannot be opened, and the loader leaves them out without a word."""
    model = Heads({"kind": 4, "depth": 1})
    optimizer = torch.optim.Adam(model.parameters(), 2e-3)
    with desk.open(model, optimizer, terms=["kind", "depth"], each=1) as session:
        for _ in range(300):
            x, kind, numbers = mixture()
            out = model(x)
            terms = {"kind": F.cross_entropy(out["kind"], kind)}
            if torch.rand(()) < 0.1:
                terms["depth"] = F.mse_loss(out["depth"][:, 0], numbers[:, 0])
            optimizer.zero_grad()
            session.total(terms).backward()
            optimizer.step()


@faulty("record", onset=150, least="note")
def resumed_from_an_older_checkpoint(desk: Desk) -> None:
    """The job dies at step 150 and goes on from the checkpoint of step 100, in the same log."""
    model = Language()
    optimizer = torch.optim.AdamW(model.parameters(), 2e-3)
    saved: list[dict[str, object]] = []
    for first, last in ((0, 150), (100, 250)):
        if saved:
            model.load_state_dict(saved[0])  # type: ignore[arg-type]  # a state
            optimizer.load_state_dict(saved[1])
        with desk.open(model, optimizer, first=first) as session:
            for at in range(first, last):
                ids = tokens()
                logits, hidden = model(ids)
                terms = {
                    "lm": F.cross_entropy(logits[:, :-1].flatten(0, 1), ids[:, 1:].flatten()),
                    "norm": 1e-3 * hidden.square().mean(),
                }
                optimizer.zero_grad()
                session.total(terms).backward()
                optimizer.step()
                if at == 99:
                    copies = {name: one.clone() for name, one in model.state_dict().items()}
                    state = optimizer.state_dict()
                    moments = {
                        key: {name: one.clone() for name, one in value.items()}
                        for key, value in state["state"].items()
                    }
                    saved = [copies, {**state, "state": moments}]  # type: ignore[list-item]  # states


@faulty("record", least="note")
def two_jobs_in_one_log(desk: Desk) -> None:
    """A job that had died is started again from nothing, and appends to the log of the first."""
    for _ in range(2):
        model = Heads({"kind": 4, "numbers": 2})
        optimizer = torch.optim.Adam(model.parameters(), 2e-3)
        with desk.open(model, optimizer, style="pairs") as session:
            for _ in range(120):
                x, kind, numbers = mixture()
                out = model(x)
                terms = {
                    "kind": F.cross_entropy(out["kind"], kind),
                    "numbers": F.mse_loss(out["numbers"], numbers),
                }
                optimizer.zero_grad()
                session.total(terms).backward()
                optimizer.step()
