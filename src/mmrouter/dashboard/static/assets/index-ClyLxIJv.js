import{m as r}from"./index-Cl7zcXsi.js";var a=r();export{a as r};
