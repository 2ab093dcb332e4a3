import{q as r}from"./index-BA0xWMwT.js";var a=r();export{a as r};
