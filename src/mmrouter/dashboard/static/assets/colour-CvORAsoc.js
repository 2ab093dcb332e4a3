function o(r){return`var(--s${r%8+1})`}export{o as c};
