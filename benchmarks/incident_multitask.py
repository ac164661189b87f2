"""The numbers of docs/incidents/multitask.md.

python -m benchmarks.incident_multitask [--seeds 5] [--variants V ...] [--write]
"""

from benchmarks.incidents import Column, Page, main, metric, trained

PAGE = Page(
    recipe="multitask",
    columns=(
        Column(head="countdown loss in training, bars", of=trained("countdown")),
        Column(head="pointer_error, bars", of=metric("pointer_error")),
        Column(head="span_f1", of=metric("span_f1")),
        Column(head="type_accuracy", of=metric("type_accuracy")),
    ),
    curve="countdown",
)

if __name__ == "__main__":
    main(PAGE)
