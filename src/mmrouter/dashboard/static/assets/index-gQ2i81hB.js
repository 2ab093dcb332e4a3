import{q as r}from"./index-BXymxglF.js";var a=r();export{a as r};
