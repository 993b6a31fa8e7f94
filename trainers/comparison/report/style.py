"""How the page looks, in light and in dark."""

_LIGHT = """
  --ink: #1b1b1a; --muted: #5f5e5a; --grid: #e4e3de; --surface: #fcfcfb; --raised: #f3f2ee; --mark: #fff3d1;
  --series-0: #2a78d6; --series-1: #d9541e; --series-2: #12895f; --series-3: #a87100;
  --series-4: #c73f7d; --series-5: #3f7d20; --series-6: #5b4bc4; --series-7: #c92f2e;
"""
_DARK = """
  --ink: #f0efec; --muted: #a9a8a2; --grid: #373734; --surface: #1a1a19; --raised: #242422; --mark: #3a3212;
  --series-0: #5b9ef0; --series-1: #f0824d; --series-2: #2fb98a; --series-3: #dba02e;
  --series-4: #ea7bae; --series-5: #83bd55; --series-6: #a498f2; --series-7: #f07a78;
"""
# Chinese and Japanese by name too: not every system falls back by itself.
_FONTS = (
    'system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", "Noto Sans", Arial, '
    '"PingFang SC", "Hiragino Sans GB", "Microsoft YaHei", "Noto Sans CJK SC", "Source Han Sans SC", sans-serif'
)
_MONOSPACE = 'ui-monospace, SFMono-Regular, Menlo, Consolas, "DejaVu Sans Mono", "Noto Sans Mono CJK SC", monospace'

STYLE = f"""
:root {{ color-scheme: light dark; {_LIGHT} }}
@media (prefers-color-scheme: dark) {{ :root {{ {_DARK} }} }}
* {{ box-sizing: border-box; }}
body {{ margin: 0; background: var(--surface); color: var(--ink); font: 16px/1.55 {_FONTS}; }}
main {{ max-width: 1160px; margin: 0 auto; padding: 40px 24px 80px; }}
h1 {{ font-size: 30px; line-height: 1.2; margin: 0 0 6px; letter-spacing: -0.01em; }}
h2 {{ font-size: 21px; margin: 52px 0 8px; }}
h3 {{ font-size: 16px; margin: 28px 0 6px; }}
p {{ max-width: 54em; margin: 6px 0 12px; }}
.muted, figcaption, th {{ color: var(--muted); }}
.lead {{ font-size: 17px; color: var(--muted); }}
.scroll {{ overflow-x: auto; margin: 14px 0; }}
table {{ border-collapse: collapse; font-size: 14.5px; min-width: 60%; }}
th {{ text-align: left; font-weight: 500; font-size: 13px; vertical-align: bottom; }}
th, td {{ padding: 7px 18px 7px 0; border-bottom: 1px solid var(--grid); }}
td {{ vertical-align: top; }}
th:last-child, td:last-child {{ padding-right: 4px; }}
thead th {{ border-bottom: 1px solid var(--muted); }}
.number {{ text-align: right; white-space: nowrap; font-variant-numeric: tabular-nums; }}
th.number {{ white-space: normal; }}
th.number:not(:empty) {{ min-width: 5em; }}
table.wide {{ width: 100%; }}
table.samples td:first-child {{ width: 1%; }}
.best {{ font-weight: 650; }}
.stack div {{ white-space: nowrap; min-height: 1.55em; }}
.run {{ white-space: nowrap; }}
.swatch {{ display: inline-block; width: 11px; height: 11px; border-radius: 3px; margin-right: 7px; }}
.legend {{ display: flex; flex-wrap: wrap; gap: 4px 22px; font-size: 14px; margin: 10px 0 4px; }}
.charts {{ display: grid; grid-template-columns: repeat(auto-fit, minmax(310px, 1fr)); gap: 14px 22px; }}
figure {{ margin: 0; }}
figcaption {{ font-size: 13px; }}
svg {{ display: block; width: 100%; height: auto; overflow: visible; }}
svg text {{ font-family: {_FONTS} !important; }}
.sample {{ white-space: pre-wrap; overflow-wrap: anywhere; font: 14px/1.5 {_MONOSPACE}; min-width: 20em; }}
.sample .prompt {{ background: var(--mark); color: var(--ink); border-radius: 2px; }}
.note {{ background: var(--raised); border-radius: 6px; padding: 8px 14px; margin: 8px 0; font-size: 14.5px; }}
code {{ font: 13.5px {_MONOSPACE}; }}
footer {{ margin-top: 60px; font-size: 13px; color: var(--muted); }}
@media print {{ main {{ max-width: none; padding: 0; }} figure, tr {{ break-inside: avoid; }} }}
"""
