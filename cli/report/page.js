// Runs in the reader's browser: shows the findings that the filters ask for. Without it, all of them are there.
(() => {
  const filters = document.getElementById('filters');
  const count = document.getElementById('count');
  const findings = [...document.querySelectorAll('article.finding')].map((element) => ({
    element,
    ...element.dataset,
    text: element.textContent.toLowerCase(),
  }));
  if (filters === null || count === null) return;
  const [practice, rule, text] = ['practice', 'rule', 'text'].map((name) => filters.querySelector(`[name=${name}]`));
  const severities = [...filters.querySelectorAll('[name=severity]')];

  function show() {
    const asked = new Set(severities.filter((box) => box.checked).map((box) => box.value));
    const words = text.value.toLowerCase().split(/\s+/);
    let shown = 0;
    for (const finding of findings) {
      const wanted =
        asked.has(finding.severity) &&
        (practice.value === '' || practice.value === finding.practice) &&
        (rule.value === '' || rule.value === finding.rule) &&
        words.every((word) => finding.text.includes(word));
      finding.element.hidden = !wanted;
      if (wanted) shown += 1;
    }
    const all = findings.length;
    count.textContent = shown === all ? `All ${all} findings are shown.` : `${shown} of ${all} findings are shown.`;
  }

  filters.addEventListener('input', show);
  filters.querySelector('button').addEventListener('click', () => {
    for (const box of severities) box.checked = true;
    for (const field of [practice, rule, text]) field.value = '';
    show();
    text.focus();
  });
  filters.hidden = false;
  // A browser that comes back to the page keeps what was chosen.
  show();
})();
