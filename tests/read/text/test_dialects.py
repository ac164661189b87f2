"""One small sample of every kind of text log, with what must come out of it."""

from collections.abc import Callable
from pathlib import Path

import pytest

from poise.read import text
from poise.read.frame import Frame, Parsed
from poise.read.source import open_source

Reader = Callable[[str], Parsed]


@pytest.fixture
def read(tmp_path: Path) -> Reader:
    """Read a text as if it were a log file."""

    def run(content: str) -> Parsed:
        path = tmp_path / "train.log"
        path.write_bytes(content.encode())
        return text.read(open_source(path))

    return run


def columns(frame: Frame) -> dict[str, list[float]]:
    """Values by name."""
    return {name: column.values.tolist() for name, column in frame.columns.items()}


def rows(frame: Frame, name: str) -> list[int]:
    """Records that mention a column."""
    return frame.columns[name].rows.tolist()


SAMPLES = {
    "pix2pix": (
        "===== Training Loss (Tue Jan  2 01:02:03 2031) =====\n"
        "(epoch: 1, iters: 40, time: 0.5, data: 0.1) G_adv: 1.5 D_real+fake: 0.25 G_pix: 9.0 \n"
        "(epoch: 2, iters: 20, time: 0.5, data: 0.1) G_adv: 1.25 D_real+fake: 0.5 G_pix: nan \n",
        {"epoch": [1, 2], "iter": [40, 20], "G_adv": [1.5, 1.25], "D_real+fake": [0.25, 0.5]},
    ),
    "detectron2": (
        "[01/02 03:04:05] d2.utils.events INFO:  eta: 1:02:03  iter: 19  total_loss: 7.5  "
        "loss_box_0: 5.25    time: 0.25   lr: 5e-07  max_mem: 1234M\n"
        "[01/02 03:04:06] d2.utils.events INFO:  eta: 1 day, 1:02:03  iter: 39  total_loss: 7  "
        "loss_box_0: 5    time: 0.25   lr: 6e-07  max_mem: 1234M\n",
        {"iter": [19, 39], "total_loss": [7.5, 7], "loss_box_0": [5.25, 5], "lr": [5e-7, 6e-7]},
    ),
    "fastspeech2": (
        "Step 100/900, Total Loss: 9.5, Wave PostNet Loss: 1.5\n"
        "Step 200/900, Total Loss: 8.5, Wave PostNet Loss: 1.25\n",
        {
            "step": [100, 200],
            "step_total": [900, 900],
            "Total Loss": [9.5, 8.5],
            "Wave PostNet Loss": [1.5, 1.25],
        },
    ),
    "metric logger": (
        "Epoch: [0]  [  0/500]  eta: 11 days, 19:56:28  lr: 0.0001  loss: 3.5 (4.5)  "
        "loss_in: 1.5 (1.6)  time: 0.5  data: 0.25  max mem: 900\n"
        "Epoch: [0]  [ 10/500]  eta: 0:56:28  lr: 0.0001  loss: 3.25 (4.0)  "
        "loss_in: nan (nan)  time: 0.5  data: 0.25  max mem: 900\n",
        {"epoch": [0, 0], "iter": [0, 10], "iter_total": [500, 500], "loss": [3.5, 3.25]},
    ),
    "deepspeed chat": (
        "epoch: 0|step: 7|ppo_ep: 1|act_loss: -0.5|cri_loss: 0.25\n"
        "average reward score: 1.5\n"
        "epoch: 0|step: 8|ppo_ep: 1|act_loss: 0.5|cri_loss: 0.125\n"
        "average reward score: 1.75\n",
        {"step": [7, 8], "act_loss": [-0.5, 0.5], "average reward score": [1.5, 1.75]},
    ),
    "logger": (
        "2031-01-02 03:04:05,123 - INFO(root): ITER 500 TRAINING (phase 1). l_rec: 1.5; "
        "l_mmd: -2.5; Grad_norm: 8.5e-01 \n"
        '2031-01-02 03:04:05,123 - INFO(root): Sample (cat T=1.0): "<start> A B <eos>"\n'
        "2031-01-02 03:04:06,123 - INFO(root): ITER 1000 TRAINING (phase 2). l_rec: 1.25; "
        "l_mmd: -2.25; Grad_norm: 8.25e-01 \n",
        {"iter": [500, 1000], "l_rec": [1.5, 1.25], "l_mmd": [-2.5, -2.25]},
    ),
    "paddle": (
        "[2031/01/02 03:04:05] root INFO: epoch: [1/9], iter: 10, lr: 0.001, loss: 7.5, "
        "loss_map: 4.5, reader_cost: 0.19 s, samples: 176, ips: 0.26\n"
        "[2031/01/02 03:04:06] root INFO: epoch: [1/9], iter: 20, lr: 0.001, loss: 7.25, "
        "loss_map: 4.25, reader_cost: 0.19 s, samples: 176, ips: 0.26\n",
        {"epoch": [1, 1], "epoch_total": [9, 9], "iter": [10, 20], "loss_map": [4.5, 4.25]},
    ),
    "loguru": (
        "2031-01-02 03:04:05.678 | INFO     | some.core.trainer:after_iter:253 - epoch: 1/20, "
        "iter: 10/132, mem: 336Mb, iter_time: 0.5s, box_loss: 1.5, lr: 7e-08, ETA: 0:30:38\n"
        "2031-01-02 03:04:06.678 | INFO     | some.core.trainer:after_iter:253 - epoch: 1/20, "
        "iter: 20/132, mem: 336Mb, iter_time: 0.5s, box_loss: 1.25, lr: 8e-08, ETA: 0:30:38\n",
        {"epoch": [1, 1], "iter": [10, 20], "iter_total": [132, 132], "box_loss": [1.5, 1.25]},
    ),
    "meters with tabs": (
        "Epoch: [3][10/40]\tTime 5.5 (6.5)\tLoss 8.5 (8.0)\tLoss sky 0.5 (0.25)\t\n"
        "loss_a_s,loss_b_s 0.125 0.25\n"
        "Epoch: [3][20/40]\tTime 5.5 (6.5)\tLoss 8.25 (8.0)\tLoss sky 0.5 (0.25)\t\n"
        "loss_a_s,loss_b_s 0.375 0.75\n",
        {"iter": [10, 20], "Loss": [8.5, 8.25], "Loss sky": [0.5, 0.5], "loss_b_s": [0.25, 0.75]},
    ),
    "banner": (
        "--------Iteration: 1000--------\nLoss: 2.5e-02 Loss_u: 4.5e-03 L2: 1.5\n"
        "Memory Usage -> CPU: 946.25 MB, Elapsed Time: 29.5 seconds\n"
        "--------Iteration: 2000--------\nLoss: 1.5e-02 Loss_u: 3.5e-03 L2: 1.25\n"
        "Memory Usage -> CPU: 946.25 MB, Elapsed Time: 39.5 seconds\n",
        {
            "iter": [1000, 2000],
            "Loss": [0.025, 0.015],
            "Loss_u": [0.0045, 0.0035],
            "L2": [1.5, 1.25],
        },
    ),
    "bracketed iter": (
        "[iter 5] adv_l: 3.5  cyc_l: 6.5  drop: 0.0\n"
        "[iter 10] adv_l: 3.25  cyc_l: 6.25  drop: 0.0\n",
        {"iter": [5, 10], "adv_l": [3.5, 3.25], "cyc_l": [6.5, 6.25]},
    ),
    "four lines": (
        "Timer: 0.5\nepoch:0 || iter:0 || Loss:26.5\n->> top1 conf loss:11.5 || top1 loc loss:4.5\n"
        "->>lr:0.0005\nTimer: 0.5\nepoch:0 || iter:10 || Loss:19.5\n"
        "->> top1 conf loss:4.75 || top1 loc loss:4.25\n->>lr:0.0005\n",
        {"iter": [0, 10], "Loss": [26.5, 19.5], "top1 conf loss": [11.5, 4.75], "lr": [5e-4, 5e-4]},
    ),
    "one meter per line": (
        "Epoch 1 [10/90]\nsim_loss  0.5 (0.25)\nrec_loss  1.5 (1.25)\nw,x,y,z 1.0 2.0 3.0 4.0\n"
        "Epoch 1 [20/90]\nsim_loss  0.25 (0.25)\nrec_loss  1.0 (1.25)\nw,x,y,z 1.5 2.5 3.5 4.5\n",
        {"iter": [10, 20], "sim_loss": [0.5, 0.25], "rec_loss": [1.5, 1.0], "z": [4.0, 4.5]},
    ),
    "megatron": (
        " iteration       10/   1000 | consumed samples:  2560 |"
        " elapsed time per iteration (ms): 849.5 | learning rate: 5.0E-07"
        " | lm loss: 1.5E+01 | mtp_1 loss: 7.5E+00"
        " | grad norm: 1.5 |"
        " number of nan iterations:   0 |\n"
        " iteration       20/   1000 | consumed samples:  5120 |"
        " elapsed time per iteration (ms): 849.5 | learning rate: 6.0E-07"
        " | lm loss: 1.25E+01 | mtp_1 loss: 7.25E+00"
        " | grad norm: 1.5 |"
        " number of nan iterations:   0 |\n",
        {
            "iter": [10, 20],
            "lm loss": [15, 12.5],
            "mtp_1 loss": [7.5, 7.25],
            "number of nan iterations": [0, 0],
            "elapsed time per iteration (ms)": [849.5, 849.5],
        },
    ),
    "missing colons": (
        "64/6400 (epoch 1) loss: 8.5, gen_loss: 8.25, Aux_loss 3.5, KL_loss: 13.5, \n"
        "128/6400 (epoch 1) loss: 8.0, gen_loss: 7.25, Aux_loss 3.0, KL_loss: 13.0, \n",
        {"iter": [64, 128], "epoch": [1, 1], "loss": [8.5, 8], "Aux_loss": [3.5, 3]},
    ),
    "fairseq simple": (
        "2031-01-02 03:04:05 | INFO | train_inner | epoch 001:  100 / 479 loss=5.5, ppl=38.5, "
        "wps=123, num_updates=100, lr=1e-05\n"
        "2031-01-02 03:05:05 | INFO | train_inner | epoch 001:  200 / 479 loss=5.25, ppl=36.5, "
        "wps=123, num_updates=200, lr=2e-05\n",
        {"epoch": [1, 1], "step": [100, 200], "loss": [5.5, 5.25], "lr": [1e-5, 2e-5]},
    ),
    "python dict": (
        "{'loss': 2.5, 'grad_norm': 98.5, 'learning_rate': 1e-05, 'epoch': 0.01}\n"
        "{'loss': 2.25, 'grad_norm': nan, 'learning_rate': 2e-05, 'epoch': 0.02}\n",
        {"epoch": [0.01, 0.02], "loss": [2.5, 2.25], "learning_rate": [1e-5, 2e-5]},
    ),
    "mnist": (
        "Train Epoch: 1 [0/600 (0%)]\tLoss: 2.5\tkl: 0.5\n"
        "Train Epoch: 1 [64/600 (11%)]\tLoss: 2.25\tkl: 0.25\n",
        {"epoch": [1, 1], "iter": [0, 64], "iter_total": [600, 600], "Loss": [2.5, 2.25]},
    ),
    "no positions": (
        "total loss = 0.5\n  pos loss = 0.25\ngrip loss = 0.75\nvalid_grip_loss:: 0.5\n"
        "total loss = 0.25\n  pos loss = 0.125\nvalid_grip_loss:: 0.25\n",
        {"total loss": [0.5, 0.25], "pos loss": [0.25, 0.125], "grip loss": [0.75]},
    ),
    "numbers in names": (
        "Epoch 1: top-5 acc: 0.5, P@1: 0.25, 2d_loss: 3.5, lr0: 1e-3, L2: .5\n"
        "Epoch 2: top-5 acc: 0.75, P@1: 0.5, 2d_loss: 2.5, lr0: 1e-3, L2: 633.\n",
        {"top-5 acc": [0.5, 0.75], "P@1": [0.25, 0.5], "2d_loss": [3.5, 2.5], "L2": [0.5, 633]},
    ),
    "full-width": (
        "2031-01-02 03:04:05,616\tmodel\tINFO\t训练回合：3 [0%]\n"
        "2031-01-02 03:04:05,616\tmodel\tINFO\t损失：[2.5, 3.5, 7.5]，步数：200，学习率：0.0001\n",
        {"epoch": [3], "step": [200], "loss_0": [2.5], "loss_2": [7.5], "lr": [1e-4]},
    ),
    "bare list": (
        "2031-01-02 03:04:05,616\tmodel\tINFO\tTrain Epoch: 3 [45%]\n"
        "2031-01-02 03:04:05,616\tmodel\tINFO\t[2.5, 3.5, 7.5, 30.5, 800, 0.0001]\n",
        {"epoch": [3], "step": [800], "loss_0": [2.5], "loss_3": [30.5], "lr": [1e-4]},
    ),
}


@pytest.mark.parametrize("dialect", SAMPLES)
def test_a_dialect_gives_its_records(read: Reader, dialect: str) -> None:
    """Every sample gives one frame with the values it was written with."""
    sample, expected = SAMPLES[dialect]
    parsed = read(sample)
    assert len(parsed.frames) == 1
    found = columns(parsed.frames[0])
    assert {name: found.get(name) for name in expected} == expected


def test_nothing_is_invented(read: Reader) -> None:
    """Clock times, dates, places in files, ranks and rates make no column."""
    parsed = read(
        "[2031-01-02 03:04:05,678] [INFO] [logging.py:96:log_dist] [Rank 0] step=10, a_loss=0.5\n"
        "I20310102 03:04:05 1 root trainer.py:12] step=20, a_loss=0.25\n"
    )
    assert columns(parsed.frames[0]) == {"step": [10, 20], "a_loss": [0.5, 0.25]}


def test_pix2pix_declares_its_terms(read: Reader) -> None:
    """All names behind the parenthesis are terms, those inside it are not."""
    (frame,) = read(SAMPLES["pix2pix"][0]).frames
    assert frame.terms == {"G_adv", "D_real+fake", "G_pix"}


def test_nan_is_a_value_only_where_a_value_stands(read: Reader) -> None:
    """`loss: nan` is one, `nan iterations: 0` is a zero."""
    (frame,) = read("step 1 | a loss: nan | b loss=-inf | nan steps: 0\n" * 2).frames
    found = columns(frame)
    assert str(found["a loss"]) == "[nan, nan]"
    assert found["b loss"] == [float("-inf")] * 2
    assert found["nan steps"] == [0, 0]


COQUI = """ > Setup
 | > seed: 54321
\x1b[4m\x1b[1m > EPOCH: 0/10\x1b[0m
\x1b[1m > TRAINING (2031-01-02 03:04:05) \x1b[0m
\x1b[1m   --> STEP: 24/36 -- GLOBAL_STEP: 1000025\x1b[0m
     | > loss_a: 3.5  (3.25)
     | > loss_1: 20.5  (21.5)
\x1b[1m > EVALUATION \x1b[0m
  \x1b[1m--> EVAL PERFORMANCE\x1b[0m
     | > avg_loss_a:\x1b[92m 2.5 \x1b[0m(-0.5)
     | > avg_loss_1:\x1b[92m 18.5 \x1b[0m(+0.25)
\x1b[4m\x1b[1m > EPOCH: 1/10\x1b[0m
\x1b[1m   --> STEP: 13/36 -- GLOBAL_STEP: 1000050\x1b[0m
     | > loss_a: 3.0  (3.25)
     | > loss_1: 20.0  (21.5)
  \x1b[1m--> EVAL PERFORMANCE\x1b[0m
     | > avg_loss_a:\x1b[92m 2.25 \x1b[0m(-0.25)
     | > avg_loss_1:\x1b[92m 18.25 \x1b[0m(-0.25)
"""


def test_blocks_under_coloured_headers(read: Reader) -> None:
    """Training and evaluation blocks are kept apart; evaluation inherits the place."""
    train, evaluation = read(COQUI).frames
    assert columns(train)["step"] == [1000025, 1000050]
    assert columns(train)["epoch"] == [0, 1]
    assert columns(train)["loss_1"] == [20.5, 20.0]
    assert "seed" not in train.columns
    assert evaluation.split == "eval"
    assert columns(evaluation)["avg_loss_a"] == [2.5, 2.25]
    assert columns(evaluation)["step"] == [1000025, 1000050]


def test_json_inside_lines_by_split(read: Reader) -> None:
    """The tag of the line says split and granularity; numbers may be strings."""
    inner = (
        '[2031-01-02 03:04:05,6][train_inner][INFO] - {{"epoch": 1, "update": 0.5, "loss": "9.5", '
        '"loss_0": "{}", "num_updates": "{}"}}\n'
    )
    train = '[2031-01-02 03:05:05,6][train][INFO] - {"epoch": 1, "train_loss": "8.5"}\n'
    valid = '[2031-01-02 03:05:05,6][valid][INFO] - {"epoch": 1, "valid_loss": "7.5"}\n'
    frames = read(inner.format(3.5, 200) + inner.format(3.25, 400) + valid + train).frames
    by = {(frame.split, frame.grain): columns(frame) for frame in frames}
    assert by["train", None]["loss_0"] == [3.5, 3.25]
    assert by["train", None]["step"] == [200, 400]
    assert by["train", "epoch"]["train_loss"] == [8.5]
    assert by["val", "epoch"]["valid_loss"] == [7.5]


def test_bars_keep_the_last_state(read: Reader) -> None:
    """A bar that repaints a step counts once, with the newest values."""
    (frame,) = read(
        "Epoch 0:   6%|▋         | 31/489 [02:52<42:21,  0.18it/s, v_num=0, train/l=9.5]\r"
        "Epoch 0:   6%|▋         | 31/489 [02:52<42:21,  0.18it/s, v_num=0, train/l=8.5]\r"
        "Epoch 0:   7%|▋         | 32/489 [02:53<42:21,  0.18it/s, v_num=0, train/l=7.5]some text\n"
    ).frames
    assert columns(frame)["train/l"] == [8.5, 7.5]
    assert columns(frame)["iter"] == [31, 32]


def test_bar_over_epochs_counts_the_epoch_once(read: Reader) -> None:
    """Where the bar's counter is the epoch plus one it is no iteration."""
    (frame,) = read(
        "Epoch 3, train loss: 0.5 f error: 0.25;:  20%|██ | 4/500 [1:29:33<5:53:45, 53.2s/it]\n"
        "Epoch 9, train loss: 0.25 f error: 0.125;:  20%|██ | 10/500 [1:29:33<5:53:45, 53.2s/it]\n"
    ).frames
    assert "iter" not in frame.columns
    assert columns(frame)["epoch"] == [3, 9]
    assert columns(frame)["f error"] == [0.25, 0.125]


def test_keras_bars_take_the_epoch_of_their_header(read: Reader) -> None:
    """`Epoch i/N` stands on a line of its own, and bars of glyphs or arrows follow."""
    (frame,) = read(
        "Epoch 1/2\n\r1/2 ━━━━━━━━━━ 0s 32ms/step - loss: 1.5 - out_loss: 0.5\r"
        "2/2 ━━━━━━━━━━━━━━━━━━━━ 0s 32ms/step - loss: 1.25 - out_loss: 0.25 - val_loss: 3.5\n"
        "Epoch 2/2\n2/2 [==========================] - 1s 32ms/step - loss: 1.0 - val_loss: 3.0\n"
    ).frames
    assert columns(frame)["loss"] == [1.5, 1.25, 1.0]
    assert columns(frame)["epoch"] == [1, 1, 2]
    assert rows(frame, "val_loss") == [1, 2]


TABLES = """
-----------------------------
| AI_score      | -1.5e+02  |
| train/loss_q  | 38.5      |
| train/par_di... | 0.25      |
-----------------------------

-----------------------------
| AI_score      | 2.5       |
| train/loss_q  | nan       |
| train/par_di... | 0.5       |
-----------------------------
"""


def test_tables_are_records(read: Reader) -> None:
    """Every table is one record; truncated names stay as they are."""
    (frame,) = read(TABLES).frames
    assert columns(frame)["AI_score"] == [-150, 2.5]
    assert columns(frame)["train/par_di..."] == [0.25, 0.5]
    assert frame.size == 2


def test_nested_tables_prefix_their_rows(read: Reader) -> None:
    """Indented rows belong to the row above that ends in a slash."""
    first = "| time/          |      |\n|    fps         | 800  |\n"
    second = "| train/         |      |\n|    loss        | 6.5  |\n"
    edge = "---------------------------\n"
    (frame,) = read(edge + first + edge + edge + first + second + edge).frames
    assert columns(frame) == {"time/fps": [800, 800], "train/loss": [6.5]}
    assert rows(frame, "train/loss") == [1]


def test_configuration_is_no_record(read: Reader) -> None:
    """What is printed once in front of the training makes neither records nor columns."""
    (frame,) = read(
        "Namespace(batch_size=10, lr=0.5)\nweight_a:1.5\n  |- c_kl\t0.5\nseed: 3\n"
        + "".join(f"step: {i} loss: {i}.5 late: {i}.25\n" for i in range(1, 30))
    ).frames
    assert list(frame.columns) == ["step", "loss", "late"]


def test_late_and_rare_terms_are_kept(read: Reader) -> None:
    """A term in 5 of 500 records is a term."""
    (frame,) = read(
        "".join(
            f"step: {i}\nloss: 0.5\n" + ("stable_loss: 0.25\n" if i % 100 == 99 else "")
            for i in range(500)
        )
    ).frames
    assert rows(frame, "stable_loss") == [99, 199, 299, 399, 499]


def test_averaged_stats_take_the_average(read: Reader) -> None:
    """The summary of an epoch has its mean in parentheses."""
    (frame,) = read(
        "".join(
            f"Epoch: [{e}] Total time: 0:01:02\nAveraged stats: lr: 0.001  loss: {e}.5 ({e}.25)\n"
            for e in range(3)
        )
    ).frames
    assert columns(frame)["loss"] == [0.25, 1.25, 2.25]
    assert columns(frame)["epoch"] == [0, 1, 2]
    assert frame.grain == "epoch"


def test_events(read: Reader) -> None:
    """Restarts, overflows, stages and crashes come with the record that follows them."""
    (frame,) = read(
        "===== Training Loss (Tue Jan  2 01:02:03 2031) =====\n"
        "step: 1 loss: 0.5\n"
        "Overflow detected. Skipping step. Attempted loss scale: 8192.0, reducing to 4096.0\n"
        "step: 2 loss: 0.25\n"
        "===== Training Loss (Tue Jan  2 02:02:03 2031) =====\n"
        "===== Training Loss (Tue Jan  2 03:02:03 2031) =====\n"
        "step: 1 loss: 0.5\n"
        "--->Add additional L9 loss now!\n"
        "step: 2 loss: 0.5\n"
        "Traceback (most recent call last):\n"
        '  File "/home/x/train.py", line 12, in main\n    step()\n'
        '  File "/home/x/sched.py", line 34, in get_lr\n    return a ** b\n'
        "TypeError: unsupported operand\n"
    ).frames
    assert [(one.name, one.step) for one in frame.events] == [
        ("overflow", 1),
        ("restart", 2),
        ("stage", 3),
        ("crash", 4),
    ]
    assert frame.events[-1].text == "TypeError: unsupported operand (sched.py, line 34, in get_lr)"


def test_events_are_bounded(read: Reader) -> None:
    """Ten thousand overflows are a thousand events and a remark."""
    parsed = read("step: 1 loss: 0.5\n" + "Overflow detected at once\n" * 10_000)
    assert len(parsed.frames[0].events) == 1_000
    assert any("10000 events of the kind 'overflow'" in one for one in parsed.remarks)


def test_unnamed_losses_are_said(read: Reader) -> None:
    """A list without names comes with a remark that names must be supplied."""
    parsed = read(SAMPLES["bare list"][0])
    assert any("without names" in one for one in parsed.remarks)


def test_spliced_ranks_leave_no_garbage(read: Reader) -> None:
    """Lines of several processes glued together give no name that no process wrote."""
    line = "epoch: 0|step: {}|ppo_ep: 1|act_loss: 0.5|cri_loss: 0.25"
    glued = "".join(
        line.format(i) + line.format(i) + "\n" + line.format(i) + "\n" for i in range(20)
    )
    (frame,) = read(glued).frames
    assert set(frame.columns) <= {"epoch", "step", "ppo_ep", "act_loss", "cri_loss"}


def test_two_fractions_are_epoch_and_iteration(read: Reader) -> None:
    """`[1/25][10/600]`, with parentheses in names."""
    line = "[1/25][{}/600] Loss_D: 0.5 Loss_G: {}.5 D(x): 0.25 D(G(z)): 0.125 / 0.5\n"
    (frame,) = read(line.format(10, 1) + line.format(20, 2)).frames
    found = columns(frame)
    assert found["epoch"] == [1, 1]
    assert found["iter"] == [10, 20]
    assert found["Loss_G"] == [1.5, 2.5]
    assert found["D(G(z))"] == [0.125, 0.125]


def test_dictionaries_behind_bars_are_lines_of_their_own(read: Reader) -> None:
    """The trainer prints its dictionary where the bar has left the cursor."""
    (frame,) = read(
        "{'loss': 2.5, 'epoch': 0.25}\n"
        "  1%|▏         | 10/1000 [00:00<00:20, 49it/s]{'loss': 2.25, 'epoch': 0.5}\n"
        "  2%|▎         | 20/1000 [00:00<00:20, 49it/s]{'eval_loss': 2.0, 'epoch': 0.5}\n"
    ).frames
    assert columns(frame) == {"epoch": [0.25, 0.5, 0.5], "loss": [2.5, 2.25], "eval_loss": [2.0]}


def test_a_split_in_the_first_name_is_that_of_the_line(read: Reader) -> None:
    """`val Loss: 0.5 Acc: 0.75` below an epoch on a line of its own."""
    train, val = read(
        "".join(
            f"Epoch {e}/3\n----------\ntrain Loss: {e}.5 Acc: 0.5\nval Loss: {e}.25 Acc: 0.75\n\n"
            for e in (1, 2)
        )
    ).frames
    assert (train.split, columns(train)["Loss"]) == ("train", [1.5, 2.5])
    assert (val.split, columns(val)["Acc"]) == ("val", [0.75, 0.75])
    assert columns(val)["epoch"] == [1, 2]


def test_fields_between_bars_may_have_no_colon(read: Reader) -> None:
    """`| loss  7.5 | valid ppl 9.5`, and names behind the colon of a position."""
    found = read(
        "| epoch   1 |   200/ 900 batches | lr 20.0 | ms/batch  5.5 | loss  7.5 | my ppl 9.5\n"
    )
    assert columns(found.frames[0]) == {
        "epoch": [1],
        "iter": [200],
        "iter_total": [900],
        "lr": [20],
        "ms/batch": [5.5],
        "loss": [7.5],
        "my ppl": [9.5],
    }
    found = read(
        "step 250: train loss 4.5, val loss 4.25\nstep 500: train loss 4.0, val loss 3.75\n"
    )
    assert columns(found.frames[0])["train loss"] == [4.5, 4.0]


def test_blocks_with_a_rhythm_of_their_own(read: Reader) -> None:
    """Epoch lines that come now and then do not split or swallow the blocks between them."""
    block = "total loss = {0}.5\n  pos loss = {0}.25\n"
    log = "".join(
        block.format(i) + (f"Epoch: {i:03d}, Train loss: 0.5\n" if i % 2 else "") for i in range(10)
    )
    frames = {next(iter(frame.columns)): frame for frame in read(log).frames}
    assert columns(frames["total loss"])["pos loss"] == [i + 0.25 for i in range(10)]
    assert columns(frames["epoch"])["Train loss"] == [0.5] * 5


def test_prose_is_no_pair(read: Reader) -> None:
    """Numbers in sentences, summaries and paths make no columns."""
    (frame,) = read(
        "step 1 | a_loss: 0.5\nEpoch 00001: val_loss improved from inf to 0.5, saving to x.h5\n"
        "* Acc@1 55.0 Acc@5 80.0 loss 2.25\nwarning triggered at /opt/src/csrc/reducer.cpp:325\n"
        "step 2 | a_loss: 0.25\n"
    ).frames
    found = columns(frame)
    assert set(found) == {"step", "a_loss", "epoch"}
    assert found["a_loss"] == [0.5, 0.25]
