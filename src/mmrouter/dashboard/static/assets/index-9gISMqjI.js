import{q as r}from"./index-CPr6kk8I.js";var a=r();export{a as r};
