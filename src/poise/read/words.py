"""The vocabulary of training logs: which words make a name a loss, a clock, a position, ...

Words are lower case; a phrase is joined by blanks. What a name means is decided in
`poise.read.naming`.
"""


def phrases(text: str) -> tuple[str, ...]:
    """Phrases that are separated by bars or line ends, in order.

    Example:
        >>> phrases("loss scale|amp scaler")
        ('loss scale', 'amp scaler')
    """
    found = (one.strip() for one in text.replace("\n", "|").split("|"))
    return tuple(one for one in found if one)


def bag(text: str) -> frozenset[str]:
    """Words that are separated by blanks or line ends.

    Example:
        >>> sorted(bag("lr gnorm"))
        ['gnorm', 'lr']
    """
    return frozenset(text.split())


SPLITS = {
    "train": "train",
    "training": "train",
    "val": "val",
    "valid": "val",
    "validation": "val",
    "dev": "val",
    "test": "test",
    "testing": "test",
    "eval": "eval",
    "evaluation": "eval",
}
"""Words of splits, and the split that each means."""

NOT_LOSS = bag("lossless gloss floss colloss lossy")
"""Words that hold `loss` without meaning one."""

ABOUT_AFTER = bag("""
    scale scaler scaling weight weights coef coeff coefficient coefficients ratio best min max std
    delta change lambda share fraction patience improvement smoothed smooth ema count spike
    difference lr ppl perplexity
""")
"""After the word loss: something about a loss, not a loss."""
ABOUT_BEFORE = bag("best min max lowest smoothed smooth ema running prev previous num delta n")
"""The same, before the word loss."""

TOTALS = bag("total tot all overall sum summed mean avg average full final combined joint")
"""With the word loss and nothing else: a total."""
SURE_TOTALS = bag("total tot overall sum summed combined")
"""Totals even where a bare `loss` stands beside them."""
BARE_TOTALS = (
    ("total",),
    ("objective",),
    ("cost",),
    ("criterion",),
    ("totalloss",),
    ("losstotal",),
    ("lossall",),
    ("sumloss",),
)
"""Names that are a total as a whole."""

AVERAGES = ("avg", "avr", "mean", "running", "ema", "smooth", "smoothed", "average")
"""Beside a quantity of the same name without this word: its running mean."""

PURE = bag("""
    kl kld kldiv nll bce ce xent crossentropy mmd adv gan perceptual vq commit commitment ctc huber
    focal vfl dfl triplet contrastive infonce hinge elbo div
""")
"""A name of these words alone is a loss, even beside names that say `loss`."""

WEAK = bag("""
    l1 l2 mse mae huber smoothl1 dice giou recon reconstruction rec perceptual lpips penalty reg
    disc diversity cyc cycle idt identity fm feat style content tv physics residual pde bc ic
    wgan gp consistency smoothness vgg error err
""")
"""Losses where no name of the log says `loss`."""

METRICISH = bag("l1 l2 mse mae dice giou error err")
"""Those of `WEAK` that are as often a metric beside the loss."""

ROLES = bag("""
    a b c d g z x y f r s t p q u v gen dis real fake fwd bwd fine coarse img image term
    data
""")
"""Words that say which loss of a kind it is."""

NETWORKS = bag("d g c da db ga gb real fake")
"""Names of adversarial losses in logs that never say `loss`."""

NOT_TERM = bag("""
    approx ratio target coef coefficient weight acc accuracy mean std var min max threshold beta
    metric score sim similarity psnr ssim
""")
"""Beside a word of `PURE` or `WEAK`: not a loss after all."""

ACTORS = bag("policy actor critic advantage advantages pi rew reward rewards return returns ret")
"""Reinforcement learning: a divergence beside these is a statistic."""

LOSS_SCALES = phrases("""
    loss scale|loss scaler|lossscale|amp scaler|amp scale|grad scale|grad scaler|scaler|scale
""")
"""Names of the factor of mixed precision."""

NOT_RATE = bag("base mult multiplier ratio decay momentum scale factor weight min max")
"""Beside `lr`: configuration, not the learning rate."""

POSITIONS = frozenset(
    phrases("""
    epoch|epochs|ep|epoch num|num epoch|current epoch|cur epoch|iter|iters|iteration|iterations|it
    step|steps|global step|globalstep|train step|training step|current step|n step|step num
    num steps|total steps|num updates|update|updates|n updates|nupdates|num update|total updates
    timesteps|timestep|total timesteps|total timestep|total env steps|env steps|num env steps
    frames|total frames|progress|percent|pct|batch|batch idx|batch index|batch num|i|idx|index
    round|episode|episodes|num episodes|episode num|n params|n parameters|num params
    num parameters|iter total|epoch total|step total|steps per epoch|iters per epoch|total iters
    iters total|batch total|batches per epoch|total epochs|max iter|max steps|max epochs|global iter
    cur iter|current iter|total iterations|consumed samples|consumed tokens|unnamed 0|row|line
    trainer global step|global steps|optimizer step|optimizer steps|opt step|micro step|nb steps
    total env interacts|total interacts|global iteration|n iter|niter|num epochs
""")
)
"""Names of places in a training."""

NESTED_POSITIONS = frozenset(
    phrases("""
    global step|total timesteps|iterations|iteration|step|steps|epoch|n updates|num updates
    total steps|iter|epochs|episodes|env steps|timesteps
""")
)
"""Names of places after a slash, as in `trainer/global_step`."""

COUNTS = frozenset(
    phrases("""
    ntokens|nsentences|bsz|wpb|length|len|size|samples|tokens|batch size|batchsize|bs
    global batch size|reserve length|completion length|seqlen|count|counts|num boxes|num samples
""")
)
"""Names of numbers of things."""
COUNT_WORDS = bag(
    "ntokens nsentences tokens ntok samples nsamples bsz batchsize seqlen length len count counts"
)
"""Words that make any name without `loss` a number of things."""

CLOCK_WORDS = bag("""
    time eta ips fps memory mem maxmem gpumem wps ups wall walltime runtime cost speed throughput
    elapsed duration seconds secs sec ms second minutes hours timestamp tflops tflop flops flos
    gflops rss gb mib gib mb datetime date latency
""")
"""Words of seconds, speed and memory."""
BARE_CLOCKS = (("data",), ("gpu",), ("cpu",), ("t",), ("rate",), ("it", "s"))
"""Names that are a clock as a whole."""

WEIGHT_WORDS = bag(
    "weight weights w lambda lam lmbda coef coeff coefficient alpha beta gamma factor scale"
)
"""Beside the name of a term: its weight."""
NORM_WORDS = bag("grad grads gradient gradients norm gradnorm gnorm l2 total 2")
"""What a gradient norm's name says besides the term it belongs to."""

METRICS = bag("""
    ap map miou iou acc aacc macc accuracy f precision recall auc auroc dice mdice psnr ssim fid
    bleu wer cer rouge ndcg top mota pck epe rmse mae ar fscore apl apm aps ndss nds
""")
"""Words of metrics that only evaluations report (a digit may follow)."""
