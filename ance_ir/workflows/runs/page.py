"""A page that shows training runs side by side: one file that needs no other and no network."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from ance_ir.eval.report.frame import part
from ance_ir.eval.report.panels import look, panel_svg, save_panels
from ance_ir.files import as_path, atomic_open
from ance_ir.optional import optional
from ance_ir.workflows.runs.curves import run_panels
from ance_ir.workflows.runs.logged import LoggedRun
from ance_ir.workflows.runs.settings import differences_table, settings_table
from ance_ir.workflows.runs.tables import LEGEND, refresh_table, summary_table

_DASHES = {"solid": "none", "dashed": "6 3", "dotted": "2 2", "dashdot": "6 2 2 2"}

_TEMPLATE = """\
{%- macro table(told, marked=false) -%}
<div class="wide"><table>
<thead><tr>{% for cell in told.header %}<th{% if loop.index <= told.left %} class="text"{% endif %}>{{ cell }}</th>{% endfor %}</tr></thead>
<tbody>
{%- for row in told.rows %}
<tr>{% for cell in row %}<td{% if loop.index <= told.left %} class="text"{% endif %}>
{%- if marked and loop.first %}{{ swatch(cell) }}{% endif %}{{ cell }}</td>{% endfor %}</tr>
{%- endfor %}
</tbody></table></div>
{%- endmacro -%}
{%- macro swatch(name) -%}
<svg class="swatch" viewBox="0 0 24 8" aria-hidden="true"><line x1="0" y1="4" x2="24" y2="4" stroke="{{ looks[name][0] }}"
 stroke-dasharray="{{ looks[name][1] }}" stroke-width="3"/></svg>
{%- endmacro -%}
<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Training runs: {{ names | join(", ") }}</title>
<style>
{{ style | safe }}
.curves { display: grid; grid-template-columns: repeat(auto-fill, minmax(21rem, 1fr)); gap: 1rem; }
@media print { .curves { display: block; } figure { display: inline-block; width: 48%; } th, td { white-space: normal; } }
</style>
</head>
<body>
<h1>Training runs</h1>
<p>Read on {{ now }}.</p>
{{ table(summary, marked=true) }}
<p>{{ legend }}</p>
{%- if runs | length > 1 %}
<h2>Settings in which they differ</h2>
{% if differences %}{{ table(differences) }}{% else %}<p>There are none.</p>{% endif %}
{%- endif %}
{%- if figures %}
<h2>Curves</h2>
<p>Faint: each step; bold: a moving average over a twentieth of the steps.</p>
<ul class="legend">{% for name in names %}<li>{{ swatch(name) }}{{ name }}</li>{% endfor %}</ul>
<div class="curves">
{%- for title, svg in figures %}
<figure role="img" aria-label="{{ title }}">{{ svg | safe }}</figure>
{%- endfor %}
</div>
{%- endif %}
{%- for name, notices, settings, refreshes in runs %}
{%- if notices %}
<h2>{{ name }}: left out, cut or assumed</h2>
<ul>{% for notice in notices %}<li>{{ notice }}</li>{% endfor %}</ul>
{%- endif %}
<h2>{{ name }}: settings</h2>
{{ table(settings) }}
{%- if refreshes.rows %}
<h2>{{ name }}: refreshes</h2>
{{ table(refreshes) }}
{%- endif %}
{%- endfor %}
</body>
</html>
"""


def write_run_page(runs: Sequence[LoggedRun], folder: Path | str) -> list[Path]:
    """Write ``curves.png``, unless no run has taken a step, and ``index.html``.

    Args:
        runs: at least one.
        folder: made if need be; files of these names are replaced.

    Returns:
        The files written.

    Raises:
        MissingDependencyError: jinja2 or matplotlib is not installed.
    """
    folder = as_path(folder)
    page = folder / "index.html"
    names = [run.name for run in runs]
    panels = run_panels(runs)
    template = _template()
    looks = {name: look(i) for i, name in enumerate(names)}
    html = template.render(
        style=part("frame.css"),
        names=names,
        looks={name: (colour.replace("#000000", "currentColor"), _DASHES[dashes]) for name, (colour, dashes) in looks.items()},
        now=datetime.now().astimezone().strftime("%Y-%m-%d %H:%M %Z"),
        summary=summary_table(runs),
        legend=LEGEND,
        differences=differences_table(runs),
        figures=[(panel.title, panel_svg(panel, names, i)) for i, panel in enumerate(panels)],
        runs=[(run.name, run.notices, settings_table(run), refresh_table(run)) for run in runs],
    )
    written = []
    if panels:
        save_panels(panels, names, folder / "curves.png")
        written.append(folder / "curves.png")
    with atomic_open(page) as stream:
        stream.write(html)
    return [*written, page]


def _template() -> Any:
    jinja2 = optional("jinja2", needed_for="a page", remedy="pip install 'ance_ir[report]'")
    return jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined).from_string(_TEMPLATE)
