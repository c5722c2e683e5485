/** Style of the status page: system fonts and colours, both colour schemes, readable at 200 %. */
export const STATUS_STYLE = `
:root{color-scheme:light dark;--text:#1b1f24;--soft:#57606a;--back:#fff;--band:#f6f8fa;--line:#d0d7de;--good:#116329;--warn:#7d4e00;--bad:#a40e26}
@media (prefers-color-scheme:dark){:root{--text:#e6edf3;--soft:#9da7b1;--back:#0d1117;--band:#161b22;--line:#30363d;--good:#56d364;--warn:#e3b341;--bad:#ff7b72}}
*{box-sizing:border-box}
body{margin:0 auto;max-width:90rem;padding:1rem;font:1rem/1.5 system-ui,sans-serif;color:var(--text);background:var(--back)}
h1{font-size:1.5rem;margin:0}
h2{font-size:1.15rem;margin:1.5rem 0 .25rem}
p{margin:.25rem 0}
.hint{color:var(--soft)}
.scroll{overflow-x:auto;border:1px solid var(--line);border-radius:.375rem}
table{border-collapse:collapse;width:100%}
th,td{text-align:left;padding:.4rem .75rem;white-space:nowrap;vertical-align:top}
td.wrap{white-space:normal;min-width:16rem}
thead th{background:var(--band);border-bottom:1px solid var(--line);font-weight:600}
tbody tr+tr>*{border-top:1px solid var(--line)}
tbody th{font-weight:600}
.good{color:var(--good)}.warn{color:var(--warn)}.bad{color:var(--bad);font-weight:600}
:focus-visible{outline:2px solid currentColor;outline-offset:2px}
.skip{position:absolute;left:-99rem}.skip:focus{position:static}
`;
