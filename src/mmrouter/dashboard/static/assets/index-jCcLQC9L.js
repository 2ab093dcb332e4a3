import{q as r}from"./index-BP9EJqto.js";var a=r();export{a as r};
