"""How masks overlap with the experts' outlines: distributions with gates."""

from matplotlib.ticker import MaxNLocator

from workflow_scripts.figures.plate import (
    BLUE,
    ORANGE,
    PAGE,
    Estimate,
    Plate,
    Row,
    Run,
    count,
    legend_above,
    new_figure,
)

METRICS = {"dice": "Dice", "iou": "IoU"}


def draw_dice_iou(run: Run) -> Plate:
    """Draw how Dice and IoU of each model are distributed over frames, with gate, mean and its interval."""
    models = run.part("segmentation", "no masks were scored")["models"]
    n = "shaded and in brackets: 95 % interval, bootstrap over groups"
    figure, panels = new_figure(PAGE, 1.85 * len(models) + 0.3, n, len(models), len(METRICS))
    rows: list[Row] = []
    rests_on = []
    for place, (model, found) in enumerate(models.items()):
        of = found["overall"]
        rests_on.append(f"{model}: {count(of['n_frames'], 'frame')} of {count(of['n_groups'], 'group')}")
        for axes, metric in zip(panels[len(METRICS) * place :], METRICS, strict=False):
            drawn, mean = found["distribution"][metric], Estimate.of(of[metric], "mean")
            edges, counts, gate = drawn["edges"], drawn["counts"], of[metric]["gate"]
            axes.bar(edges[:-1], counts, 0.046, align="edge", color="#9FC3DD")
            axes.axvline(gate, color=ORANGE, ls="--", label=f"gate {gate:g}: {drawn['under']:,} under it")
            if mean.value is not None:
                axes.axvline(mean.value, color=BLUE, label=f"mean {mean.shown()}")
            if mean.low is not None and mean.high is not None:
                axes.axvspan(mean.low, mean.high, color=BLUE, alpha=0.25, lw=0)
            axes.set(xlim=(0, 1), ylim=(0, 1.06 * max(1, *counts)), xlabel=METRICS[metric], ylabel="frames")
            axes.yaxis.set_major_locator(MaxNLocator(5, integer=True))
            legend_above(axes, f"{model}\nn = {count(drawn['n'], 'frame')} of {count(of['n_groups'], 'group')}")
            about = {"model": model, "metric": metric}
            bins = zip(edges[:-1], edges[1:], counts, strict=True)
            rows += [about | {"what": "frames", "from": low, "to": high, "value": number} for low, high, number in bins]
            rows.append(about | {"what": "mean", "from": mean.low, "to": mean.high, "value": mean.value})
            rows.append(about | {"what": "gate", "value": gate})
    caption = "Dice and IoU of every scored frame, with the gates and the means"
    return Plate(caption, "; ".join(rests_on), "datasets/*/scores/, review/scores.json", rows, figure)
